//! A model of a machine, and tests that run whole plans in it.
//!
//! The model is a [`World`], as [`crate::system`] is. It is so simple that it is obviously right: drivers,
//! addresses, routes and groups are sets. It is compiled for tests only, and only the tests below use it.
//!
//! A step fails in the model where the kernel would refuse it. A card has one driver at most. A driver takes
//! the card only if it is loaded and `driver_override` allows it. An interface that is down has no routes. A
//! route through a gateway needs an address. With the kernel's driver the card's interface disappears.
//!
//! The tests let each step of taking and of giving back fail, and kill lmd before each step. They show that
//! the card and the other interface are afterwards as they were before, for each kind of card that a plan
//! tells apart.

use std::collections::{BTreeMap, BTreeSet};

use crate::run::{self, World};
use crate::saved::tests::saved;
use crate::{Address, Route, Saved, Settings, Step};

const DEVICE: &str = "0000:01:00.0";
/// The MAC address that the card has by itself.
const OWN: [u8; 6] = [2, 0, 0, 0, 0, 7];

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Interface {
    mac: [u8; 6],
    mtu: u32,
    up: bool,
    addresses: BTreeSet<String>,
    routes: BTreeSet<String>,
    groups: BTreeSet<[u8; 6]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Machine {
    drivers: BTreeSet<String>,
    /// The driver that has the card, and the only one that may have it (`driver_override`).
    driver: Option<String>,
    only: Option<String>,
    interfaces: BTreeMap<String, Interface>,
    joined: BTreeSet<String>,
    /// How many steps there are until one fails, and until all fail, as after a kill.
    fails_in: usize,
    dies_in: usize,
}

fn text(address: &Address) -> String {
    format!("{:?} {address}", address.ip())
}

impl Machine {
    /// A machine whose card is as `saved` says.
    fn new(saved: &Saved) -> Self {
        let had = &saved.settings;
        let card = Interface {
            mac: had.mac,
            mtu: had.mtu,
            up: had.up,
            addresses: had.addresses.iter().map(text).collect(),
            routes: had.routes.iter().map(Route::to_string).collect(),
            groups: had.groups.iter().copied().collect(),
        };
        let tap = Interface { up: saved.tap_was_up, ..Interface::default() };
        Self {
            drivers: BTreeSet::from(["igb".to_owned()]),
            driver: Some("igb".to_owned()),
            only: saved.overridden.clone(),
            interfaces: BTreeMap::from([("eth0".to_owned(), card), ("lm0".to_owned(), tap)]),
            joined: BTreeSet::new(),
            fails_in: usize::MAX,
            dies_in: usize::MAX,
        }
    }

    fn interface(&mut self, name: &str) -> Result<&mut Interface, String> {
        self.interfaces.get_mut(name).ok_or_else(|| format!("there is no {name}"))
    }

    /// What has to be as it was before.
    fn seen(&self) -> (Option<String>, Option<String>, BTreeMap<String, Interface>) {
        (self.driver.clone(), self.only.clone(), self.interfaces.clone())
    }

    /// lmd ends: what it had joined is left.
    fn end(&mut self) {
        (self.fails_in, self.dies_in) = (usize::MAX, usize::MAX);
        self.joined.clear();
    }
}

impl World for Machine {
    fn make(&mut self, step: &Step) -> Result<(), String> {
        for left in [&mut self.fails_in, &mut self.dies_in] {
            *left = left.saturating_sub(1);
        }
        if self.fails_in == 0 || self.dies_in == 0 {
            self.fails_in = usize::MAX;
            // A killed program makes no more steps.
            self.dies_in = if self.dies_in == 0 { 1 } else { self.dies_in };
            return Err("a fault".to_owned());
        }
        match step {
            Step::Load(driver) => drop(self.drivers.insert(driver.clone())),
            Step::Override(_, driver) => self.only.clone_from(driver),
            Step::Unbind(_, driver) => {
                if self.driver.as_ref() == Some(driver) {
                    self.driver = None;
                    self.interfaces.retain(|name, _| name == "lm0");
                }
            }
            Step::Bind(device, driver) => {
                assert_eq!(device, DEVICE);
                if self.driver.as_ref() == Some(driver) {
                    return Ok(());
                }
                let may = self.only.as_ref().is_none_or(|only| only == driver);
                if self.driver.is_some() || !may || !self.drivers.contains(driver) {
                    return Err(format!("{driver} may not have it"));
                }
                self.driver = Some(driver.clone());
                if driver == "igb" {
                    let new = Interface { mac: OWN, mtu: 1500, ..Interface::default() };
                    self.interfaces.insert("new".to_owned(), new);
                }
            }
            Step::Await(_, name) => {
                if let Some(new) = self.interfaces.remove("new") {
                    self.interfaces.insert(name.clone(), new);
                }
                self.interface(name)?;
            }
            Step::Mac(name, mac) => self.interface(name)?.mac = *mac,
            Step::Mtu(name, mtu) => self.interface(name)?.mtu = *mtu,
            Step::Up(name, up) => {
                let interface = self.interface(name)?;
                interface.up = *up;
                if !up {
                    interface.routes.clear();
                }
            }
            Step::Address(name, address) => {
                self.interface(name)?.addresses.insert(text(address));
            }
            Step::NoAddress(name, address) => {
                self.interface(name)?.addresses.remove(&text(address));
            }
            Step::Route(name, route) => {
                let interface = self.interface(name)?;
                let indirect = route.is_indirect();
                if !interface.up || indirect && interface.addresses.is_empty() {
                    return Err("the network is unreachable".to_owned());
                }
                interface.routes.insert(route.to_string());
            }
            Step::NoRoute(name, route) => {
                self.interface(name)?.routes.remove(&route.to_string());
            }
            Step::Group(name, mac) => drop(self.interface(name)?.groups.insert(*mac)),
            Step::NoGroup(name, mac) => drop(self.interface(name)?.groups.remove(mac)),
            Step::Join(name, group) => {
                self.interface(name)?;
                self.joined.insert(group.to_string());
            }
        }
        Ok(())
    }
}

/// Cards of all kinds that the plan tells apart.
fn cards() -> Vec<Saved> {
    let mut all = Vec::new();
    for (up, tap_was_up, overridden) in
        [(true, false, None), (true, true, Some("igb".to_owned())), (false, false, None)]
    {
        let routes = if up { saved().settings.routes } else { Vec::new() };
        let settings = Settings { up, routes, ..saved().settings };
        all.push(Saved { tap_was_up, overridden, settings, ..saved() });
    }
    let Settings { mac, mtu, up, .. } = saved().settings;
    let settings = Settings { mac, mtu, up, ..Settings::default() };
    all.push(Saved { settings, ..saved() });
    all
}

#[test]
fn all_that_the_card_had_goes_to_the_other_interface_and_back() {
    for saved in cards() {
        let before = Machine::new(&saved);
        let mut machine = before.clone();
        run::take(&mut machine, &saved.all()).expect("no fault");
        let card = &before.interfaces["eth0"];
        let tap = &machine.interfaces["lm0"];
        assert_eq!(machine.driver.as_deref(), Some("vfio-pci"));
        assert!(!machine.interfaces.contains_key("eth0"));
        assert_eq!((&tap.routes, &tap.groups), (&card.routes, &card.groups));
        assert_eq!(tap.mac, before.interfaces["lm0"].mac, "it is lmd's to say");
        assert_eq!((tap.addresses.len(), tap.up), (card.addresses.len(), true));
        assert_eq!(machine.joined.len(), saved.settings.joins.len());
        machine.end();
        assert_eq!(run::give(&mut machine, &saved.all()), Vec::<String>::new());
        assert_eq!(machine.seen(), before.seen());
    }
}

#[test]
fn a_step_that_fails_is_undone_with_those_before_it() {
    for saved in cards() {
        let (before, moves) = (Machine::new(&saved), saved.all());
        for at in 1..=moves.len() {
            let mut machine = Machine { fails_in: at, ..before.clone() };
            let why = run::take(&mut machine, &moves).expect_err("a fault");
            assert!(why.contains("a fault") && !why.contains("not undone") && !why.contains('\n'), "{why}");
            assert_eq!(machine.seen(), before.seen(), "{at}: {why}");
        }
    }
}

#[test]
fn killed_after_any_step_it_is_given_back() {
    for saved in cards() {
        let (before, moves) = (Machine::new(&saved), saved.all());
        for at in 1..=moves.len() + 1 {
            let mut machine = Machine { dies_in: at, ..before.clone() };
            let _ = run::take(&mut machine, &moves);
            machine.end();
            assert_eq!(run::give(&mut machine, &moves), Vec::<String>::new(), "{at}");
            assert_eq!(machine.seen(), before.seen(), "{at}");
        }
    }
}

#[test]
fn giving_back_may_be_killed_after_any_step_and_begun_again() {
    for saved in cards() {
        let (before, moves) = (Machine::new(&saved), saved.all());
        let undo: usize = moves.iter().map(|one| one.undo.len()).sum();
        for at in 1..=undo + 1 {
            let mut machine = before.clone();
            run::take(&mut machine, &moves).expect("no fault");
            machine.dies_in = at;
            assert_eq!(run::give(&mut machine, &moves).is_empty(), at > undo);
            machine.end();
            assert_eq!(run::give(&mut machine, &moves), Vec::<String>::new(), "{at}");
            assert_eq!(machine.seen(), before.seen(), "{at}");
        }
    }
}

#[test]
fn what_cannot_be_undone_is_told_and_the_rest_is_undone() {
    let (saved, mut machine) = (saved(), Machine::new(&saved()));
    let before = machine.clone();
    run::take(&mut machine, &saved.all()).expect("no fault");
    let undo: usize = saved.all().iter().map(|one| one.undo.len()).sum();
    // The last route of the card.
    machine.fails_in = undo - 2;
    let left = run::give(&mut machine, &saved.all());
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(machine.driver, before.driver);
    assert_eq!(machine.interfaces["eth0"].addresses, before.interfaces["eth0"].addresses);
}
