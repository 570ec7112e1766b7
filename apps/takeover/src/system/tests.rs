use super::*;
use crate::facts::tests::sysfs;

const CARD: &str = "0000:01:00.0";

#[test]
fn sysfs_is_told_and_only_what_is_not_so_already() {
    let folder = sysfs();
    let at = |path: &str| folder.path().join(path);
    let mut system = System::at(folder.path());
    for file in ["bus/pci/drivers/igb/unbind", "bus/pci/drivers/igb/bind", "bus/pci/drivers/vfio-pci/bind"] {
        fs::write(at(file), "").expect("written");
    }
    system.make(&Step::Load("vfio-pci".to_owned())).expect("it is there");
    system.make(&Step::Override(CARD.to_owned(), Some("vfio-pci".to_owned()))).expect("written");
    let read = |path: &str| fs::read_to_string(at(path)).expect("text");
    assert!(read("devices/a/0000:01:00.0/driver_override").starts_with("vfio-pci\n"));
    // Another one than it has: nothing is written.
    system.make(&Step::Unbind(CARD.to_owned(), "vfio-pci".to_owned())).expect("so already");
    system.make(&Step::Bind(CARD.to_owned(), "igb".to_owned())).expect("so already");
    assert_eq!(read("bus/pci/drivers/igb/bind") + &read("bus/pci/drivers/igb/unbind"), "");
    let why = system.make(&Step::Bind(CARD.to_owned(), "vfio-pci".to_owned())).expect_err("igb has it");
    assert!(why.contains("igb"), "{why}");
    system.make(&Step::Unbind(CARD.to_owned(), "igb".to_owned())).expect("written");
    assert_eq!(read("bus/pci/drivers/igb/unbind"), CARD);
    fs::create_dir_all(at("devices/a/0000:01:00.0/net/eth0")).expect("a folder");
    system.make(&Step::Await(CARD.to_owned(), "eth0".to_owned())).expect("it is there");
    let why = system.make(&Step::Load("no-such-driver-lm".to_owned())).expect_err("there is none");
    assert!(why.contains("modprobe") && !why.contains('\n'), "{why}");
}

fn ip(words: &str) -> String {
    let done = Command::new("ip").args(words.split_whitespace()).output().expect("ip runs");
    assert!(done.status.success(), "{words}: {}", one_line(&done.stderr));
    String::from_utf8(done.stdout).expect("text")
}

/// Runs a test of this file in a network namespace of its own, with the interfaces la, lb and lc. Returns
/// whether it is there by now.
fn is_alone(test: &str) -> bool {
    const ALONE: &str = "LM_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        for name in ["la", "lb", "lc"] {
            ip(&format!("link add {name} type veth peer name {name}1"));
            ip(&format!("link set {name} up"));
            ip(&format!("link set {name}1 up"));
        }
        return true;
    }
    // Root needs no user namespace, and gets none in a chroot.
    let by_root = rustix::process::geteuid().is_root();
    let spaces: &[&str] = if by_root { &["--net"] } else { &["--user", "--map-root-user", "--net"] };
    let mut command = Command::new("unshare");
    command.args(spaces).arg(std::env::current_exe().expect("a path"));
    command.args(["--exact", "--nocapture", &format!("system::tests::{test}")]).env(ALONE, "");
    let done = command.output().expect("unshare runs");
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
    false
}

/// What is to be moved from an interface.
fn facts(name: &str) -> facts::Facts {
    facts::Facts::read(Path::new("/sys"), name).expect("answers")
}

#[test]
fn routes_of_other_interfaces_stay() {
    if !is_alone("routes_of_other_interfaces_stay") {
        return;
    }
    for (name, host) in [("la", 1), ("lb", 2), ("lc", 3)] {
        ip(&format!("addr add 10.1.0.{host}/24 dev {name}"));
        ip(&format!("-6 addr add fd01::{host}/64 dev {name} nodad"));
    }
    for name in ["lb", "la"] {
        ip(&format!("route append default via 10.1.0.9 dev {name} metric 100"));
        ip(&format!("route append 10.2.0.0/24 dev {name} proto static"));
        ip(&format!("-6 route append fd02::/64 dev {name} proto static"));
    }
    let all = || ip("-4 route") + &ip("-6 route");
    let of =
        |name: &str| ip(&format!("-4 route show dev {name}")) + &ip(&format!("-6 route show dev {name}"));
    let (before, theirs, mut system) = (all(), of("lb"), System::default());
    let routes = facts("la").settings.routes;
    assert!(routes.len() >= 3, "{routes:?}");
    for _ in 0..2 {
        for route in &routes {
            system.make(&Step::Route("lc".to_owned(), route.clone())).expect("made");
        }
        assert_eq!(of("lb"), theirs, "another's");
    }
    assert!(["default", "10.2.0.0", "fd02::"].iter().all(|to| of("lc").contains(to)), "{}", all());
    for route in &routes {
        system.make(&Step::NoRoute("lc".to_owned(), route.clone())).expect("removed");
        system.make(&Step::NoRoute("lc".to_owned(), route.clone())).expect("gone");
    }
    assert_eq!(all(), before);
}

#[test]
fn routes_that_programs_make_in_the_kernels_place_are_moved() {
    if !is_alone("routes_that_programs_make_in_the_kernels_place_are_moved") {
        return;
    }
    let moved = || -> Vec<String> { facts("la").settings.routes.iter().map(ToString::to_string).collect() };
    ip("addr add 10.2.0.1/24 dev la");
    assert_eq!(moved(), Vec::<String>::new(), "the kernel makes them again");
    // As NetworkManager does.
    ip("addr add 10.1.0.1/24 dev la noprefixroute");
    ip("route add 10.1.0.0/24 dev la proto kernel scope link src 10.1.0.1 metric 100");
    ip("route add default via 10.1.0.9 dev la metric 100");
    assert!(moved().contains(&"10.1.0.0/24 src 10.1.0.1 metric 100 proto 2".to_owned()), "{:?}", moved());
    let (had, mut system) = (facts("la"), System::default());
    let all = || ip("route show dev lc");
    for address in &had.settings.addresses {
        let address = address.labelled("la", "lc");
        system.make(&Step::Address("lc".to_owned(), address)).expect("given");
    }
    let (direct, indirect): (Vec<_>, Vec<_>) = had.settings.routes.iter().partition(|r| !r.is_indirect());
    for route in direct.into_iter().chain(indirect) {
        system.make(&Step::Route("lc".to_owned(), route.clone())).expect("made");
    }
    assert_eq!(all().replace("dev lc ", ""), ip("route show dev la").replace("dev la ", ""));
}

#[test]
fn a_hop_of_several_moves_and_the_others_stay() {
    if !is_alone("a_hop_of_several_moves_and_the_others_stay") {
        return;
    }
    for (name, host) in [("la", 1), ("lb", 2)] {
        ip(&format!("addr add 10.{host}.0.1/24 dev {name}"));
    }
    ip("route add 10.9.0.0/24 nexthop via 10.1.0.9 dev la nexthop via 10.2.0.9 dev lb weight 3");
    ip("-6 route add fd09::/64 nexthop via fe80::9 dev la nexthop via fe80::9 dev lb weight 3");
    let all = || ip("-4 route show 10.9.0.0/24") + &ip("-6 route show fd09::/64");
    let (before, mut system) = (all(), System::default());
    let routes = facts("la").settings.routes;
    assert_eq!(routes.len(), 2, "{routes:?}");
    // With the interface go its hops.
    ip("link del la");
    ip("addr add 10.1.0.1/24 dev lc");
    for _ in 0..2 {
        for route in &routes {
            system.make(&Step::Route("lc".to_owned(), route.clone())).expect("made");
        }
        let sorted = |text: &str| {
            let mut lines: Vec<_> = text.lines().map(|line| line.trim().to_owned()).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&all().replace("dev lc", "dev la")), sorted(&before));
    }
    for route in &routes {
        system.make(&Step::NoRoute("lc".to_owned(), route.clone())).expect("removed");
    }
    assert_eq!(all().trim(), "fd09::/64 via fe80::9 dev lb metric 1024 pref medium", "the other hop");
}

#[test]
fn addresses_and_routes_of_all_kinds_move() {
    if !is_alone("addresses_and_routes_of_all_kinds_move") {
        return;
    }
    for words in [
        "addr add 10.1.0.1/24 brd + dev la label la:one",
        "addr add 10.1.0.2/24 dev la",
        "addr add 10.9.0.3/24 dev la scope link metric 50",
        "addr add 10.5.0.1 peer 10.6.0.1/32 dev la",
        "addr add 10.5.0.1 peer 10.7.0.0/16 dev la noprefixroute",
        "addr add 10.8.0.1/24 dev la valid_lft 1000 preferred_lft 0",
        "-6 addr add fd01::1/64 dev la nodad metric 70",
        "-6 addr add fd01::2/64 dev la nodad preferred_lft 0",
        "-6 addr add fd02::1/64 dev la nodad noprefixroute home",
        "-6 addr add fd03::1 peer fd03::2 dev la nodad",
        "route add 10.20.0.0/24 via 10.1.0.9 dev la src 10.1.0.2 metric 7 mtu lock 1400 initcwnd 20",
        "route add 10.20.0.0/24 via 10.1.0.9 dev la tos 0x10 metric 7",
        "route add 10.21.0.0/24 via 192.0.2.1 dev la onlink",
        "route add 10.22.0.0/24 dev la table 5000 scope link proto 99",
        "route add default via 10.1.0.8 dev la table 100",
        "route add local 10.23.0.0/24 dev la",
        "route add multicast 239.0.0.0/8 dev la",
        "route add 10.24.0.0/24 via inet6 fe80::1 dev la",
        "-6 route add fd20::/64 via fe80::9 dev la metric 9 pref high mtu 1300",
        "-6 route add fd21::/64 dev la expires 500",
        "-6 route add fd22::/64 via fd77::1 dev la onlink src fd01::1",
        "-6 route add default via fe80::8 dev la table 100",
    ] {
        ip(words);
    }
    let lines = |name: &str, words: &str| {
        let mut lines: Vec<String> = Vec::new();
        for line in ip(words).replace(&format!("dev {name}"), "dev").replace(name, "X").lines() {
            // The kernel's own, and what goes on.
            let is_own = [
                "inet6 fe80",
                "local fe80",
                "cast fe80",
                "fe80::/64",
                "ff00::/8",
                " link/",
                ": <",
                "ever preferred_lft for",
            ]
            .iter()
            .any(|own| line.contains(own));
            let rest = line.split(" expires ").next().unwrap_or_default();
            lines.extend((!is_own && !rest.contains("valid_lft 9")).then(|| rest.trim().to_owned()));
        }
        lines.sort();
        lines
    };
    let all = |name: &str| {
        ["addr show dev", "-4 route show table all dev", "-6 route show table all dev"]
            .map(|words| lines(name, &format!("{words} {name}")))
    };
    let (before, facts, mut system) = (all("la"), facts("la"), System::default());
    let saved = crate::Saved {
        card: "la".to_owned(),
        tap: "lc".to_owned(),
        settings: facts.settings,
        ..crate::saved::tests::saved()
    };
    ip("link del la");
    let nothing = all("lc");
    for _ in 0..2 {
        for one in saved.interface() {
            system.make(&one.step).unwrap_or_else(|why| panic!("{}: {why}", one.step));
        }
        for (had, has) in before.iter().zip(all("lc")) {
            assert_eq!(has.join("\n"), had.join("\n"));
        }
    }
    assert_eq!(crate::run::give(&mut system, &saved.interface()[1..]), Vec::<String>::new());
    assert_eq!(all("lc"), nothing);
}

#[test]
fn what_is_not_there_needs_no_removal() {
    let mut system = System::default();
    let none = || "lm-none".to_owned();
    let address = crate::saved::tests::saved().settings.addresses[0].clone();
    system.make(&Step::NoAddress(none(), address.clone())).expect("gone");
    system.make(&Step::NoGroup(none(), [1, 0, 0x5e, 0, 0, 9])).expect("gone");
    system.make(&Step::Up(none(), false)).expect("gone");
    system.make(&Step::Address(none(), address)).expect_err("there is none");
}
