//! [`Invocation`]: the command line, and the file that it may name, as one line of words.
//!
//! The file is TOML: `eal` is a list of EAL's options, and each other key is an option of lmd's without its
//! dashes. What the command line says of an option counts more than what the file says.

use std::collections::BTreeMap;
use std::path::Path;

use clap::{ArgAction, CommandFactory as _};
use toml::{Table, Value};

use super::options::Options;
use crate::regular_file;
use crate::start::NoOptions;

/// The longest file.
const LONGEST: u64 = 64 << 10;
/// Options of lmd's that may stand in front of `--`: with a name behind them, and without.
const WITH_NAME: [&str; 2] = ["take-over", "give-back"];
/// See [`WITH_NAME`].
const FLAGS: [&str; 5] = ["dry-run", "force", "when-told", "tell", "code"];
/// The key of EAL's options.
const EAL: &str = "eal";

/// What lmd is to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Invocation {
    /// The program's name, EAL's options, `--` and lmd's options.
    pub(crate) words: Vec<String>,
    /// Whether it is only to be checked.
    pub(crate) check: bool,
}

impl Invocation {
    /// Reads a command line. `--check` and `--config FILE` stand in front of `--`, and what moves a card may
    /// stand there.
    pub(crate) fn of(args: &[String]) -> Result<Self, String> {
        let (mut check, mut file) = (false, None);
        let at = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
        let (front, ours) = (&args[..at], args.get(at + 1..).unwrap_or_default());
        let mut words = Vec::new();
        let mut front = front.iter();
        words.extend(front.next().cloned());
        let (mut eal, mut moved) = (Vec::new(), Vec::new());
        while let Some(word) = front.next() {
            if word == "--check" {
                check = true;
            } else if let Some(rest) =
                word.strip_prefix("--config").filter(|r| r.is_empty() || r.starts_with('='))
            {
                let path = rest.strip_prefix('=').map(str::to_owned).or_else(|| front.next().cloned());
                let path =
                    path.filter(|path| !path.is_empty()).ok_or("--config: give a file, --config FILE")?;
                if file.replace(path).is_some() {
                    return Err("--config can be given once".to_owned());
                }
            } else if WITH_NAME.iter().any(|name| is_option(word, name)) {
                let next = front.clone().next().filter(|_| !word.contains('='));
                let value = next.filter(|next| !next.starts_with('-'));
                moved.push(value.map_or_else(|| word.clone(), |value| format!("{word}={value}")));
                front.by_ref().take(usize::from(value.is_some())).for_each(drop);
            } else if FLAGS.iter().any(|name| is_option(word, name)) {
                moved.push(word.clone());
            } else {
                eal.push(word.clone());
            }
        }
        let ours: Vec<_> = moved.into_iter().chain(ours.iter().cloned()).collect();
        let Configuration { eal: first, options } = file.map_or(Ok(Configuration::default()), |path| {
            Configuration::read(Path::new(&path)).map_err(|why| format!("{path}: {why}"))
        })?;
        words.extend(first);
        words.extend(eal);
        let named = |name: &str| ours.iter().any(|word| is_option(word, name));
        let kept = options.into_iter().filter(|(name, _)| !named(name)).map(|(_, word)| word);
        let ours: Vec<_> = kept.chain(ours.iter().cloned()).collect();
        if !ours.is_empty() {
            words.push("--".to_owned());
            words.extend(ours);
        }
        Ok(Self { words, check })
    }
}

/// Whether a word of the command line is the option of this name.
fn is_option(word: &str, name: &str) -> bool {
    let rest = word.strip_prefix("--").and_then(|word| word.strip_prefix(name));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
}

/// What a file says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Configuration {
    eal: Vec<String>,
    /// A word for each option.
    options: BTreeMap<String, String>,
}

impl Configuration {
    fn read(path: &Path) -> Result<Self, String> {
        let unread = |e| format!("it cannot be read: {e}; name a file of options");
        Self::parse(&regular_file::text(path, LONGEST).map_err(unread)?)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let table: Table = text.parse().map_err(|e| one_line(text, &e))?;
        let mut all = Self::default();
        for (key, value) in table {
            if key == EAL {
                all.eal = eal(value)?;
            } else if let Some(word) = option(&key, value)? {
                all.options.insert(key, word);
            }
        }
        // Each value is looked at here, so that an error names the file.
        let words: Vec<_> = all.options.values().cloned().collect();
        match Options::of(&words) {
            Ok(_) => Ok(all),
            Err(NoOptions::Wrong(why) | NoOptions::Text(why)) => Err(why),
        }
    }
}

/// What is wrong with a file that is no TOML, and in which line.
fn one_line(text: &str, e: &toml::de::Error) -> String {
    let before = e.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = 1 + before.matches('\n').count();
    format!("line {line}: {}", e.message().replace('\n', " "))
}

fn eal(value: Value) -> Result<Vec<String>, String> {
    let wrong = || format!("{EAL} is a list of EAL's options, such as [\"-a\", \"0000:01:00.0\"]");
    let Value::Array(words) = value else { return Err(wrong()) };
    let word = |word| match word {
        Value::String(word) if word == "--" => Err(format!("{EAL}: lmd's options are keys of their own")),
        Value::String(word) => Ok(word),
        _ => Err(wrong()),
    };
    words.into_iter().map(word).collect()
}

/// The word of the command line that says the same. `None`: a flag that is off.
fn option(key: &str, value: Value) -> Result<Option<String>, String> {
    let command = Options::command();
    // lmd gives itself the hidden ones.
    let keys = || command.get_arguments().filter(|arg| !arg.is_hide_set());
    let Some(arg) = keys().find(|arg| arg.get_long() == Some(key)) else {
        let names: Vec<_> = keys().filter_map(clap::Arg::get_long).collect();
        return Err(format!("there is no key {key:?}: there are {EAL}, {}", names.join(", ")));
    };
    let flag = matches!(arg.get_action(), ArgAction::SetTrue);
    match value {
        Value::Boolean(on) if flag => Ok(on.then(|| format!("--{key}"))),
        Value::String(text) if !flag => Ok(Some(format!("--{key}={text}"))),
        Value::Integer(n) if !flag => Ok(Some(format!("--{key}={n}"))),
        _ if flag => Err(format!("{key} is true or false")),
        other => Err(format!("{key} is a text or a number, and no {}", other.type_str())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::words;

    fn with_file(text: &str, line: &str) -> Result<Invocation, String> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        Invocation::of(&words(&line.replace("FILE", &file.path().display().to_string())))
    }

    #[test]
    fn without_a_file_the_line_is_as_it_was() {
        for line in
            ["lmd", "lmd -a 1:0.0", "lmd -a 1:0.0 -- --mtu=1400 --check", "lmd -- --interface --config"]
        {
            assert_eq!(Invocation::of(&words(line)), Ok(Invocation { words: words(line), check: false }));
        }
        let check = Invocation { words: words("lmd -a 1:0.0 -- --mtu=1400"), check: true };
        assert_eq!(Invocation::of(&words("lmd -a 1:0.0 --check -- --mtu=1400")), Ok(check));
    }

    #[test]
    fn what_moves_a_card_may_stand_in_front() {
        for (line, same) in [
            (
                "lmd --take-over eth0 --force -l 1 -- --mtu=1400",
                "lmd -l 1 -- --take-over=eth0 --force --mtu=1400",
            ),
            ("lmd -l 1 --take-over=eth0", "lmd -l 1 -- --take-over=eth0"),
            ("lmd --give-back --dry-run", "lmd -- --give-back --dry-run"),
            ("lmd --give-back eth0", "lmd -- --give-back=eth0"),
            ("lmd --take-over --force", "lmd -- --take-over --force"),
            ("lmd --force-max-simd-bitwidth=64", "lmd --force-max-simd-bitwidth=64"),
        ] {
            assert_eq!(
                Invocation::of(&words(line)),
                Ok(Invocation { words: words(same), check: false }),
                "{line}"
            );
        }
        let text = "take-over = \"eth1\"\nforce = true\n";
        let all = with_file(text, "lmd --config FILE --take-over eth0").expect("right").words;
        assert_eq!(all, words("lmd -- --force --take-over=eth0"));
    }

    #[test]
    fn the_command_line_counts_more() {
        let text = "eal = [\"-a\", \"1:0.0\"]\ninterface = \"lm1\"\nmtu = 1400\nno-mirror = true\n";
        let all = with_file(text, "lmd --config FILE").expect("right").words;
        assert_eq!(all, words("lmd -a 1:0.0 -- --interface=lm1 --mtu=1400 --no-mirror"));
        let all =
            with_file(text, "lmd --config=FILE -l 1 -- --mtu=9000 --interface lm2").expect("right").words;
        assert_eq!(all, words("lmd -a 1:0.0 -l 1 -- --no-mirror --mtu=9000 --interface lm2"));
        let all =
            with_file("tso = \"off\"\ngro = \"off\"", "lmd --config=FILE -- --gro=on").expect("right").words;
        assert_eq!(all, words("lmd -- --tso=off --gro=on"));
        let all = with_file("no-mirror = false", "lmd --config=FILE").expect("right").words;
        assert_eq!(all, words("lmd"));
    }

    #[test]
    fn what_is_wrong_is_one_line_with_the_file_and_the_value() {
        for (text, told) in [
            ("frob = 1", "\"frob\""),
            ("help = true", "\"help\""),
            ("tell = 1", "no key \"tell\""),
            ("mtu = 100", "576..=9216"),
            ("mtu = 1.5", "no float"),
            ("mtu = [1]", "no array"),
            ("mtu = true", "no boolean"),
            ("no-mirror = 1", "true or false"),
            ("tso = true", "no boolean"),
            ("gro = \"maybe\"", "maybe"),
            ("interface = \"a/b\"", "a/b"),
            ("mac = \"ff:ff:ff:ff:ff:ff\"", "ff:ff"),
            ("[lmd]\nmtu = 1500", "\"lmd\""),
            ("eal = \"-a 1:0.0\"", "list"),
            ("eal = [1]", "list"),
            ("eal = [\"--\"]", "keys of their own"),
            ("mtu = 1500\nmtu = 1500", "line 2"),
            ("mtu", "line 1"),
        ] {
            let why = with_file(text, "lmd --config FILE").expect_err(text);
            assert!(why.contains(told) && !why.contains('\n') && why.starts_with('/'), "{text:?}: {why}");
        }
        for line in ["lmd --config", "lmd --config=", "lmd --config=/nowhere", "lmd --config /dev/zero"] {
            let why = Invocation::of(&words(line)).expect_err(line);
            assert!(!why.contains('\n'), "{why}");
        }
        let none = Invocation::of(&words("lmd --config=/nowhere")).expect_err("no file");
        assert!(none.contains("/nowhere: it cannot be read") && none.contains("name a file"), "{none}");
        let unknown = with_file("frob = 1", "lmd --config FILE").expect_err("no key");
        assert!(unknown.contains("gro") && !unknown.contains("when-told"), "internal options: {unknown}");
        let twice = with_file("", "lmd --config FILE --config FILE").expect_err("twice");
        assert!(twice.contains("once"), "{twice}");
    }
}
