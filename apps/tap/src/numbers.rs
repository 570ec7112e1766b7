//! The numbers of netlink(7) and rtnetlink(7): kinds of messages, flags of requests, attributes of routes,
//! and the sizes of the structures in front of attributes.
//!
//! [`crate::routes`], [`crate::rtnetlink`] and the crate `lm-takeover` name them.

/// The answer to a request: an error, or 0.
pub const NLMSG_ERROR: u16 = 2;
/// The end of a list.
pub const NLMSG_DONE: u16 = 3;
/// Every request has this flag.
pub const NLM_F_REQUEST: u16 = 1;
/// A request that is answered also if it succeeds.
pub const NLM_F_ACK: u16 = 4;
/// A request for all that there is.
pub const NLM_F_DUMP: u16 = 0x300;
/// On a message of a list: what it lists has changed since the list began, so that some may be missing.
pub const NLM_F_DUMP_INTR: u16 = 0x10;
/// A request that replaces what is there, or makes it.
pub const NLM_F_SET: u16 = 0x100 | 0x400;
/// A request that makes a route behind those of the same prefix and metric, which may be by other interfaces.
pub const NLM_F_BESIDE: u16 = 0x400 | 0x800;

/// Reports of IPv4 routes, as a bit of a socket's groups.
pub const RTMGRP_IPV4_ROUTE: u32 = 0x40;

/// An address that there is, or is to be.
pub const RTM_NEWADDR: u16 = 20;
/// An address that is to go.
pub const RTM_DELADDR: u16 = 21;
/// A request for addresses.
pub const RTM_GETADDR: u16 = 22;
/// A route that there is, or is to be.
pub const RTM_NEWROUTE: u16 = 24;
/// A route that is to go, or has gone.
pub const RTM_DELROUTE: u16 = 25;
/// A request for routes.
pub const RTM_GETROUTE: u16 = 26;

/// Bytes of `struct ifaddrmsg`, with which a message about an address begins.
pub const IFADDRMSG: usize = 8;
/// Bytes of `struct rtmsg`, with which a message about a route begins.
pub const RTMSG: usize = 12;

/// Where a route leads. Absent: everywhere.
pub const RTA_DST: u16 = 1;
/// The interface that packets come in by.
pub const RTA_IIF: u16 = 3;
/// The interface that packets go out by.
pub const RTA_OIF: u16 = 4;
/// The address of the gateway.
pub const RTA_GATEWAY: u16 = 5;
/// The metric, by which routes with the same prefix are told apart.
pub const RTA_PRIORITY: u16 = 6;
/// The source address of packets whose program has chosen none.
pub const RTA_PREFSRC: u16 = 7;
/// Attributes of their own, such as the MTU.
pub const RTA_METRICS: u16 = 8;
/// Several next hops, each a `struct rtnexthop`.
pub const RTA_MULTIPATH: u16 = 9;
/// How the route stands: its use and its lifetime.
pub const RTA_CACHEINFO: u16 = 12;
/// The number of the table, which may be above 255.
pub const RTA_TABLE: u16 = 15;
/// The address of a gateway of another family.
pub const RTA_VIA: u16 = 18;
/// Seconds until the route ends (IPv6).
pub const RTA_EXPIRES: u16 = 23;
/// The user that a lookup is for.
pub const RTA_UID: u16 = 25;
/// The number of a next hop that was made by itself (`ip nexthop`).
pub const RTA_NH_ID: u16 = 30;

/// The table of routes that is looked at for all packets.
pub const TABLE_MAIN: u8 = 254;
/// The table of local addresses, which is the kernel's own.
pub const TABLE_LOCAL: u8 = 255;
/// The kind of a route that leads somewhere.
pub const RTN_UNICAST: u8 = 1;
/// "The gateway is on this link whatever the routes say": of a route's flags the only one that may be set.
pub const RTNH_F_ONLINK: u32 = 4;
