//! [`make_pool`]: makes the pool of a landing queue as `plan` computed it.

use rte::Eal;
use rte::port::PortId;

use lm_landing::pool::{LandingError, LandingPool, PoolConfig, RegionKind};

/// Makes the pool of a landing queue as planned. Its region is mapped once if it cannot be mapped twice, and
/// is enlarged if the ring needs it.
///
/// # Errors
/// [`LandingError`]: there is too little memory.
pub fn make_pool(eal: &Eal, id: PortId, plan: &PoolConfig) -> Result<LandingPool, LandingError> {
    // Bytes that a boundary leaves unused count as a part of a slot.
    let room = match plan.writes.boundary {
        0 => plan.room,
        boundary => boundary / (boundary / (plan.room + 128)).max(1),
    };
    let least = PoolConfig::least_region(plan.descriptors, plan.stride, room);
    let sized = |kind, round| {
        let region = plan.region.max(least).next_multiple_of(round);
        // A message that is sent on from where it landed stays in the transmit ring, if the driver keeps what
        // it has sent. While every slot of a long ring is posted, there may be no place left. So the region
        // may always grow to twice its size.
        PoolConfig { kind, region, max_region: plan.max_region.max(2 * region), ..plan.clone() }
    };
    let once = sized(RegionKind::Dpdk, 1 << 17);
    if once.region > plan.region {
        log::info!("port {id}: the landing region is {} bytes, {} would not do", once.region, plan.region);
    }
    if matches!(plan.kind, RegionKind::Mirrored) {
        match LandingPool::create(eal, &sized(RegionKind::Mirrored, 2 << 20)) {
            Ok(pool) => return Ok(pool),
            Err(LandingError::Memory(e)) if plan.writes.port.is_some() => {
                log::warn!("port {id}: datagrams across the landing region's end are copied: {e}");
            }
            Err(e) => return Err(e),
        }
    }
    LandingPool::create(eal, &once)
}
