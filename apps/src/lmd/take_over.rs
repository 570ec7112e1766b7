//! [`Taken`]: a card that was moved from the kernel's driver to DPDK, for as long as lmd runs.
//!
//! When lmd ends, it has no rights left to give the card back. So it starts itself a second time when it
//! takes the card, with all rights: that one waits for a byte through a pipe, and then gives the card back.
//! If lmd is killed, the pipe ends. Then the other one says in one line that the card is not given back, and
//! ends too: the next start goes on with the card, and `lmd --give-back` gives it back.
//!
//! A driver takes a card only when no process has it open, and DPDK closes some files at the end of the
//! process only. So lmd executes itself once more at its end, which closes them. What is executed tells the
//! waiting one, waits for it, and ends with the exit code of the run. Signals wait from before lmd executes
//! itself until the other one is told, since nobody would tell it if they ended lmd.

use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use lm_takeover::Saved;
use lm_takeover::facts::Facts;
use lm_takeover::plan::Move;
use lm_takeover::refusal::Wish;
use lm_takeover::run;
use lm_takeover::store::{Lock, Store, Unlocked};
use lm_takeover::system::System;
use lm_tap::{files, held};
use pmd_e1000::cards;
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, waitpid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::NAME;
use super::options::Options;
use crate::console::say;
use crate::start::{self, Failure};

/// Where this program is.
const ITSELF: &str = "/proc/self/exe";

/// A card of ours, and how it is given back.
pub(crate) struct Taken {
    saved: Saved,
    system: System,
    helper: Child,
    /// Nobody else takes the card meanwhile, or gives it back.
    _lock: Lock,
}

/// What the card has to be given back as, looked up now.
fn look(card: &str, options: &Options) -> Result<Saved, String> {
    let system = System::default();
    let wish = Wish {
        tap: &options.interface,
        tap_is_up: System::is_up(&options.interface),
        force: options.force,
        now: System::now(),
    };
    let is_known = |vendor, device| cards::find(vendor, device).is_some();
    Facts::read(system.sys(), card)?.to_save(wish, is_known)
}

/// Whether the card can be taken, as far as can be seen.
pub(crate) fn check(card: &str, eal: &[String], options: &Options) -> Result<(), String> {
    let names_device = |word: &&String| {
        word.starts_with("-a") || ["--allow", "--vdev", "--no-pci"].iter().any(|one| word.starts_with(one))
    };
    if let Some(word) = eal.iter().skip(1).find(names_device) {
        return Err(format!("--take-over={card} says which device lmd has: leave out {word}"));
    }
    // One that is taken already can be gone on with.
    if Store::of_environment().read(card)?.is_none() {
        look(card, options)?;
    }
    Ok(())
}

/// Whether no lmd has the card that runs.
pub(crate) fn is_free(card: &str) -> Result<(), String> {
    let store = Store::of_environment();
    // Without its file nobody has it, and the lock's file is not made.
    if store.read(card)?.is_some() {
        drop(store.lock(card)?);
    }
    Ok(())
}

/// Says what would be done, and does nothing.
pub(crate) fn print_plan(card: &str, options: &Options) -> Result<(), String> {
    let store = Store::of_environment();
    if let Some(saved) = store.read(card)? {
        say!("{card} is taken over already: {} says what is to be given back", store.file(card).display());
        print(&saved);
        return Ok(());
    }
    print(&look(card, options)?);
    Ok(())
}

fn print(saved: &Saved) {
    let moves = saved.all();
    moves.iter().for_each(|one| say!("take over: {}", one.step));
    print_undoing(&moves);
}

/// Says what giving back would do.
fn print_undoing(moves: &[Move]) {
    run::undoing(moves).for_each(|step| say!("give back: {step}"));
}

impl Taken {
    /// Takes the card, or goes on with it if an lmd had it that was killed. Options get what follows from the
    /// card, and EAL its name.
    pub(crate) fn begin(card: &str, eal: &mut Vec<String>, options: &mut Options) -> Result<Self, String> {
        let store = Store::of_environment();
        let lock = store.lock(card)?;
        let mut system = System::default();
        let kept = kept(card, &store, &mut system, options)?;
        let helper = helper(card)?;
        let saved = match kept {
            Some(saved) => saved,
            None => take(card, &store, &mut system, options)?,
        };
        let this = Self { saved, system, helper, _lock: lock };
        this.tell(eal, options);
        Ok(this)
    }

    fn tell(&self, eal: &mut Vec<String>, options: &mut Options) {
        eal.extend(["-a".to_owned(), self.saved.device.clone()]);
        options.complete(self.saved.settings.mac, self.saved.settings.mtu);
    }

    /// Gives the interface what the card had.
    pub(crate) fn serve(&mut self) -> Result<(), String> {
        run::take(&mut self.system, &self.saved.interface())?;
        let Saved { card, device, driver, to, tap, settings, .. } = &self.saved;
        say!(
            "{card}: {device} was taken from {driver} and given to {to}; {tap} has its {} addresses and {} routes",
            settings.addresses.len(),
            settings.routes.len()
        );
        Ok(())
    }

    /// Gives the card back, and ends the process as the run has ended. Returns only if that fails.
    pub(crate) fn give_back(self, ended: Result<(), Failure>) -> Failure {
        let Self { saved, system, mut helper, _lock } = self;
        // Groups are left.
        drop(system);
        let code = start::conclude(ended);
        let failed = |why: String| {
            Failure::Failed(vec![format!(
                "{0} is not given back: {why}; lmd --give-back {0} does it",
                saved.card
            )])
        };
        let Some(pipe) = helper.stdin.take() else { return failed("nobody waits for that".to_owned()) };
        if let Err(e) = files::close_at_exec() {
            return failed(e.to_string());
        }
        let mut command = Command::new(ITSELF);
        command.arg0(NAME).args(["--give-back", &saved.card]);
        command.args([format!("--tell={}", helper.id()), format!("--code={code}")]);
        if let Err(e) = held::hold() {
            return failed(e.to_string());
        }
        failed(command.stdin(pipe).exec().to_string())
    }
}

/// What an lmd that was killed has left: the card, with which this one goes on. A card that was half taken,
/// or half given back, is given back.
fn kept(card: &str, store: &Store, system: &mut System, options: &Options) -> Result<Option<Saved>, String> {
    let Some(saved) = store.read(card)? else { return Ok(None) };
    if system.driver(&saved.device).as_ref() != Some(&saved.to) {
        give(store, &saved, system)?;
        return Ok(None);
    }
    if saved.tap != options.interface {
        return Err(format!(
            "{card} is taken over already, by {}: give it back first (lmd --give-back {card})",
            saved.tap
        ));
    }
    log::warn!("{card} was not given back when lmd ended last: this one goes on with it");
    Ok(Some(saved.later(System::now(), &System::addresses(&saved.tap))))
}

/// Takes the card from the kernel's driver.
fn take(card: &str, store: &Store, system: &mut System, options: &Options) -> Result<Saved, String> {
    let saved = look(card, options)?;
    store.write(&saved)?;
    run::take(system, &saved.card()).map_err(|why| {
        // What is not undone can be given back later.
        let forgotten = if why.contains(run::LEFT) { Ok(()) } else { store.remove(card) };
        let forgotten = forgotten.err().map(|e| format!("; {e}")).unwrap_or_default();
        format!("{card} is not taken over: {why}{forgotten}")
    })?;
    Ok(saved)
}

/// Ends a run, in the process that lmd executed at its end: tells the waiting process to give the card back,
/// and ends when that process has ended.
fn tell(helper: i32, code: u8) -> Result<(), Failure> {
    let failed =
        |e: Errno| Failure::Failed(vec![format!("a card is not given back: {e}; lmd --give-back does it")]);
    rustix::io::write(rustix::stdio::stdin(), b"g").map_err(failed)?;
    // The other one gives the card back now, whatever becomes of this process.
    if let Err(e) = held::release() {
        log::debug!("signals wait until the card is given back: {e}");
    }
    let (_, status) = waitpid(Pid::from_raw(helper), WaitOptions::empty())
        .map_err(failed)?
        .ok_or_else(|| failed(Errno::CHILD))?;
    // The other process has printed what went wrong.
    let code = if status.exit_status() == Some(0) { code } else { code.max(1) };
    std::process::exit(code.into());
}

/// This program a second time, waiting to give the card back.
fn helper(card: &str) -> Result<Child, String> {
    let mut command = Command::new(ITSELF);
    command.arg0(NAME).arg(format!("--give-back={card}")).arg("--when-told").stdin(Stdio::piped());
    // What is typed at the terminal is for this process.
    command.process_group(0);
    command.spawn().map_err(|e| format!("{ITSELF} cannot be started to give {card} back: {e}"))
}

/// Waits for a byte. Returns whether one came.
fn is_told() -> bool {
    // Signals are for the process that tells.
    let ignored = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        if let Err(e) = signal_hook::flag::register(signal, Arc::clone(&ignored)) {
            log::debug!("signal {signal} ends this process: {e}");
        }
    }
    std::io::stdin().read_exact(&mut [0]).is_ok()
}

/// `lmd --give-back`.
pub(crate) fn give_back(card: &str, options: &Options) -> Result<(), Failure> {
    let card = if card.is_empty() { options.take_over.as_deref().unwrap_or_default() } else { card };
    let store = Store::of_environment();
    if card.is_empty() {
        return give_back_all(&store, options);
    }
    if let Some(helper) = options.tell {
        return tell(helper, options.code);
    }
    if options.when_told && !is_told() {
        return match store.read(card)? {
            None => Ok(()),
            Some(_) => Err(Failure::Failed(vec![format!(
                "lmd has ended and has not given {card} back: start lmd again, which goes on with it, or give it \
                 back (lmd --give-back {card})"
            )])),
        };
    }
    if store.read(card)?.is_none() {
        let system = System::default();
        if Facts::read(system.sys(), card)?.index.is_none() {
            let file = store.file(card);
            return Err(Failure::Refused(format!(
                "{card} was not taken over: there is no such interface, and no {}",
                file.display()
            )));
        }
        say!("{card} is the kernel's: nothing is to be given back");
        return Ok(());
    }
    let lock = if options.dry_run { None } else { Some(store.lock(card).map_err(String::from)?) };
    give_back_saved(&store, card, lock)
}

/// Gives back each card that lmd has taken and that no lmd has any more, whatever the options say: they may
/// have changed since, or be gone.
fn give_back_all(store: &Store, options: &Options) -> Result<(), Failure> {
    let cards = store.cards()?;
    if cards.is_empty() {
        say!("no card was taken over: nothing is to be given back");
    }
    let mut left = Vec::new();
    for card in cards {
        let lock = match store.lock(&card) {
            Err(Unlocked::Taken(why)) => {
                say!("{why}");
                continue;
            }
            other => other.map_err(String::from),
        };
        let lock = lock.map(|lock| Some(lock).filter(|_| !options.dry_run));
        match lock.map_err(Failure::from).and_then(|lock| give_back_saved(store, &card, lock)) {
            Ok(()) => {}
            Err(Failure::Refused(why)) => left.push(why),
            Err(Failure::Failed(why)) => left.extend(why),
        }
    }
    if left.is_empty() { Ok(()) } else { Err(Failure::Failed(left)) }
}

/// Gives back what was written down of a card. Without its lock it only says what would be done.
fn give_back_saved(store: &Store, card: &str, lock: Option<Lock>) -> Result<(), Failure> {
    // Another process may have given it back before the lock was had.
    let Some(saved) = store.read(card)? else { return Ok(()) };
    let Some(_lock) = lock else {
        print_undoing(&saved.all());
        return Ok(());
    };
    give(store, &saved, &mut System::default()).map_err(|why| Failure::Failed(vec![why]))?;
    say!("{card}: {} was given back to {}", saved.device, saved.driver);
    Ok(())
}

/// Gives back what was written down, and forgets it if all of it went well.
fn give(store: &Store, saved: &Saved, system: &mut System) -> Result<(), String> {
    let now = saved.later(System::now(), &System::addresses(&saved.tap));
    // What is over by now is taken from the other interface all the same.
    run::give(system, &saved.interface()).iter().for_each(|left| log::debug!("{left}"));
    let left = run::give(system, &now.all());
    if !left.is_empty() {
        return Err(format!(
            "{}: {}; give back again, or remove {} and do it by hand",
            saved.card,
            left.join("; "),
            store.file(&saved.card).display()
        ));
    }
    store.remove(&saved.card)
}
