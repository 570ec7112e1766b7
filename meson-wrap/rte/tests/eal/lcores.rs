//! Closures on worker lcores, and threads that become one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use rte::Eal;
use rte::lcore::{self, LaunchError};

pub(crate) fn work_on_lcores(eal: &Eal) {
    assert_eq!(lcore::current(), Some(0));
    let join = lcore::launch(eal, 1, lcore::current).unwrap();
    assert_eq!(join.join(), Some(1));
    assert_eq!(lcore::launch(eal, 0, || ()).unwrap_err(), LaunchError::NotAWorker(0));
    assert_eq!(lcore::launch(eal, 99, || ()).unwrap_err(), LaunchError::NotAWorker(99));
    let slow = lcore::launch(eal, 1, || thread::sleep(Duration::from_millis(50))).unwrap();
    assert_eq!(lcore::launch(eal, 1, || ()).unwrap_err(), LaunchError::Busy(1));
    drop(slow);
    let join = lcore::launch(eal, 1, || panic!("on purpose")).unwrap();
    let panic = catch_unwind(AssertUnwindSafe(|| join.join())).unwrap_err();
    assert_eq!(*panic.downcast::<&str>().unwrap(), "on purpose");
    // Any other thread can become an lcore for a while.
    thread::scope(|s| {
        s.spawn(|| {
            assert_eq!(lcore::current(), None);
            let guard = lcore::register_thread(eal).unwrap();
            assert!(lcore::current().is_some());
            assert!(lcore::register_thread(eal).is_err());
            drop(guard);
            assert_eq!(lcore::current(), None);
        });
    });
}
