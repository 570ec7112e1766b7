//! lm-netpipe: latency, bandwidth and CPU over payload sizes, of LM and of its alternatives.
//!
//! - [`options`] and [`sizes`] read the command line.
//! - [`transport`] has the transports, behind one trait.
//! - [`order`] has the messages between the two ends. [`meter`] separates work from empty polls.
//! - [`responder`] is the end that answers.
//! - [`initiator`] is the end that measures, by [`ping_pong`] and [`stream`], in [`rounds`]. It shows its
//!   [`progress`].
//! - [`results`] and [`output`] report the figures as a table, JSON and pictures.
//!
//! Both ends run in the main thread, which is EAL's main lcore, or is pinned by `--core`. Kernel transports
//! alone need no EAL. Exit codes are lm-testpmd's.

mod initiator;
mod meter;
mod options;
mod order;
mod output;
mod ping_pong;
mod progress;
mod responder;
mod results;
mod rounds;
mod sizes;
mod stream;
mod transport;
mod window;

use std::path::Path;
use std::process::ExitCode;

use rte::Eal;

use self::meter::Rate;
use self::options::{Options, Role, Test};
use self::output::machine::Machine;
use self::results::Results;
use self::transport::Transport;
use crate::console::{complain, say};
use crate::start::{self, Failure, FileUse};
use crate::writer::Writer;
use crate::{logging, no_port, signals};

const NAME: &str = "lm-netpipe";

/// The program.
pub(crate) fn main() -> ExitCode {
    start::run(NAME, begin)
}

/// Reads the command line, opens what it names, and measures.
fn begin(args: &[String]) -> Result<(), Failure> {
    let Some((eal_args, options)) = start::options(NAME, args, Options::of)? else { return Ok(()) };
    logging::begin(eal_args.iter().any(|arg| arg.starts_with("--log-level")));
    let json =
        options.json.as_deref().map(|path| FileUse::written(format!("--json={}", path.display()), path));
    let flaws = start::look(eal_args, json)?;
    let files = Files::create(&options)?;
    if !options.needs_eal()
        && let Some(stray) = eal_args.get(1)
    {
        let why = format!(
            "{stray:?} is an argument for EAL, and kernel sockets need no EAL: write options behind --"
        );
        return Err(Failure::Refused(why));
    }
    signals::watch(|| {}).map_err(|e| format!("signals cannot be watched: {e}"))?;
    let eal = if options.needs_eal() { Some(start::eal(NAME, eal_args)?) } else { None };
    if let Some(eal) = &eal {
        no_port::check(eal, eal_args)?;
    }
    if eal.is_none() {
        pin(options.core)?;
    } else if options.core.is_some() {
        let why =
            "--core is for runs with kernel sockets alone: with EAL, -l chooses the main lcore to run on";
        return Err(Failure::Refused(why.to_owned()));
    }
    let rate = Rate::measured();
    let mut transports = match transport::open(eal.as_ref(), &options.transport, &options.settings()) {
        Ok(transports) => transports,
        Err(e) => {
            let told = logging::complaints();
            return Err(Failure::Refused(if told.is_empty() { e } else { format!("{e}: {told}") }));
        }
    };
    logging::release();
    let done = match options.role {
        Role::Responder => {
            responder::run(&mut transports, &options, rate);
            Ok(())
        }
        Role::Initiator => {
            initiator::introduce(&transports, &options);
            let mut results = Results::of(&transports);
            let done = initiator::run(&mut transports, &options, rate, &mut results);
            let machine = Machine::here(rate.hz, eal.as_ref().map(Eal::version));
            let complete = done.is_ok() && !signals::is_ending();
            output::table::show(&results, &options);
            if !complete && done.is_ok() {
                say!("\nended by a signal: these are the results so far");
            }
            let written = files.write(&results, &options, &machine, complete);
            written.map_err(|why| Failure::Failed(vec![why])).and(done.map_err(Failure::from))
        }
    };
    transports.into_iter().for_each(Transport::close);
    if let Some(eal) = eal {
        if transport::pool_stays() { eal.leave() } else { start::end(eal) }
    }
    done?;
    flaws.into_result()
}

/// Puts this thread on a CPU.
fn pin(core: Option<usize>) -> Result<(), String> {
    let Some(id) = core else { return Ok(()) };
    let ours = core_affinity::get_core_ids().unwrap_or_default();
    let Some(&core) = ours.iter().find(|core| core.id == id) else {
        let ours: Vec<_> = ours.iter().map(|core| core.id.to_string()).collect();
        return Err(format!(
            "--core={id} is no CPU that this process may use: choose one of {}",
            ours.join(", ")
        ));
    };
    if !core_affinity::set_for_current(core) {
        complain(&format!("this thread cannot be pinned to CPU {id}: the kernel chooses its CPU"));
    }
    Ok(())
}

/// Where results are written to.
struct Files {
    json: Option<Writer>,
}

impl Files {
    /// What cannot be written is told before anything is measured.
    fn create(options: &Options) -> Result<Self, String> {
        if let Some(prefix) = &options.svg {
            let first = match options.test.first() {
                Some(Test::Stream) => "stream",
                Some(Test::Window) => "window",
                Some(Test::PingPong | Test::PingPongAnew) | None => "latency",
            };
            Writer::create(format!("{prefix}-{first}.svg").as_ref())?.finish()?;
        }
        Ok(Self { json: options.json.as_deref().map(Writer::create).transpose()? })
    }

    fn write(
        self,
        results: &Results,
        options: &Options,
        machine: &Machine,
        complete: bool,
    ) -> Result<(), String> {
        if let Some(mut file) = self.json {
            let text = output::json::document(results, options, machine, complete);
            file.push(text.as_bytes());
            file.finish()?;
        }
        if let Some(prefix) = &options.svg {
            for (name, picture) in output::plot::all(results, options, machine) {
                let path = format!("{prefix}-{name}.svg");
                let mut file = Writer::create(Path::new(&path))?;
                file.push(picture.as_bytes());
                file.finish()?;
            }
        }
        Ok(())
    }
}
