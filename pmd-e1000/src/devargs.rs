//! [`Devargs`]: a device's arguments as DPDK's drivers read them.
//!
//! A check of a device's arguments is useless if it reads, for example, `infinite_rx=01` in another way than
//! the driver. So the text is split as `rte_kvargs_parse` splits it, numbers are parsed as `atoi` and
//! `strtoul` parse them, and words are compared as the driver compares them.

/// The most pairs that DPDK takes (`RTE_KVARGS_MAX`). With more it reads no argument at all.
pub const MOST: usize = 32;

/// Keys and values, in the order of the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Devargs<'a>(Vec<(&'a str, Option<&'a str>)>);

impl<'a> Devargs<'a> {
    /// Splits a text into pairs. A pair ends at a comma that is not within brackets. Its last two words
    /// between `=` are key and value.
    pub fn parse(text: &'a str) -> Self {
        let mut pairs = Vec::new();
        let (mut start, mut key, mut in_list) = (0, None, false);
        for (at, byte) in text.bytes().chain([b',']).enumerate() {
            match byte {
                b'[' => in_list = true,
                b']' => in_list = false,
                b'=' => {
                    key = Some(&text[start..at]);
                    start = at + 1;
                }
                b',' if !in_list || at == text.len() => {
                    let word = &text[start..at];
                    match key.take() {
                        Some(key) => pairs.push((key, Some(word))),
                        None if !word.is_empty() => pairs.push((word, None)),
                        None => {}
                    }
                    start = at + 1;
                }
                _ => {}
            }
        }
        Self(pairs)
    }

    /// The values of a key, in order; a key without one counts as empty.
    pub fn all(&self, key: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(k, _)| *k == key).map(|(_, value)| value.unwrap_or_default())
    }

    /// The value of a key that may be given several times. The last one counts.
    pub fn last(&self, key: &str) -> Option<&'a str> {
        self.all(key).last()
    }

    /// The value of a key that some drivers read only if it is given once.
    pub fn only(&self, key: &str) -> Option<&'a str> {
        let mut values = self.all(key);
        values.next().filter(|_| values.next().is_none())
    }

    /// All keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.0.iter().map(|(key, _)| *key)
    }
}

/// The sign and the digits of a number, as C's functions find them: after blanks, up to the first byte that
/// is no digit.
fn number(text: &str) -> (bool, impl Iterator<Item = u8>) {
    let text = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let (minus, text) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    (minus, text.bytes().take_while(u8::is_ascii_digit).map(|digit| digit - b'0'))
}

/// C's `atoi`: the lower half of a `long`, which is limited to its range before.
pub fn atoi(text: &str) -> i32 {
    let (minus, digits) = number(text);
    let step = |n: i64, digit| {
        let digit = i64::from(digit);
        n.saturating_mul(10).saturating_add(if minus { -digit } else { digit })
    };
    digits.fold(0_i64, step) as i32
}

/// C's `strtoul` in base 10. A number that is too large becomes the largest one, and a minus sign wraps
/// around.
pub fn strtoul(text: &str) -> u64 {
    let (minus, mut digits) = number(text);
    let n = digits.try_fold(0_u64, |n, digit| n.checked_mul(10)?.checked_add(digit.into()));
    match n {
        Some(n) if minus => n.wrapping_neg(),
        Some(n) => n,
        None => u64::MAX,
    }
}

/// The arguments of a net_memif port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memif {
    /// It listens, its peer connects.
    pub server: bool,
    /// Its peer reads and writes its buffers. (A server ignores this argument.)
    pub zero_copy: bool,
    /// Bytes of a buffer.
    pub bsize: u64,
    /// Descriptors of a ring, as a power of two.
    pub rsize: u64,
}

impl Memif {
    /// Reads these arguments. Values that the driver refuses itself are not checked.
    pub fn of(args: &Devargs<'_>) -> Self {
        let server = args.last("role").is_some_and(|role| {
            role.contains("server") || !role.contains("client") && role.contains("master")
        });
        let zero_copy = args.all("zero-copy").fold(false, |on, word| {
            // The driver looks for a word within the value.
            word.contains("yes") || on && !word.contains("no")
        });
        Self {
            server,
            zero_copy: zero_copy && !server,
            bsize: args.last("bsize").map_or(2048, strtoul),
            rsize: args.last("rsize").map_or(10, strtoul),
        }
    }

    /// Descriptors of a ring.
    pub fn ring(&self) -> u32 {
        1 << self.rsize.min(14)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pairs_are_cut_as_dpdk_cuts_them() {
        let cut = |text| Devargs::parse(text).0;
        assert_eq!(cut(""), []);
        assert_eq!(cut("a=1,b,,c="), [("a", Some("1")), ("b", None), ("c", Some(""))]);
        assert_eq!(cut("a=[1,b=2],c=3"), [("[1,b", Some("2]")), ("c", Some("3"))]);
        assert_eq!(cut("a=[1,2]x,c=3"), [("a", Some("[1,2]x")), ("c", Some("3"))]);
        assert_eq!(cut("a=1=2"), [("1", Some("2"))]);
        assert_eq!(cut("=1,a=[x"), [("", Some("1")), ("a", Some("[x"))]);
        assert_eq!(cut("käse=\u{1f9c0}"), [("käse", Some("\u{1f9c0}"))]);
    }

    #[test]
    fn repeated_keys() {
        let args = Devargs::parse("x=1,y=2,x=3");
        assert_eq!((args.last("x"), args.only("x"), args.only("y")), (Some("3"), None, Some("2")));
        assert_eq!((args.last("z"), args.keys().count()), (None, 3));
    }

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        for (text, n) in [
            ("1", 1),
            ("01", 1),
            ("+1", 1),
            ("1x", 1),
            (" \t1", 1),
            ("2", 2),
            ("-1", -1),
            ("", 0),
            ("x1", 0),
            ("0x1", 0),
            ("+-1", 0),
            ("4294967296", 0),
            ("4294967297", 1),
            ("2147483648", i32::MIN),
            ("99999999999999999999", -1),
            ("-99999999999999999999", 0),
        ] {
            assert_eq!(atoi(text), n, "{text:?}");
        }
        assert_eq!(strtoul("2048,"), 2048);
        assert_eq!(strtoul("-1"), u64::MAX);
        assert_eq!(strtoul("18446744073709551616"), u64::MAX);
    }

    #[test]
    fn memif_is_told_by_words_within_values() {
        let of = |text| Memif::of(&Devargs::parse(text));
        let usual = Memif { server: false, zero_copy: false, bsize: 2048, rsize: 10 };
        assert_eq!(of(""), usual);
        assert_eq!(of("role=client,role=server"), Memif { server: true, ..usual });
        assert_eq!(of("role=master"), Memif { server: true, ..usual });
        assert_eq!(of("role=my-client-not-master"), usual);
        assert_eq!(of("zero-copy=yes,role=client"), Memif { zero_copy: true, ..usual });
        assert_eq!(of("zero-copy=yes!"), Memif { zero_copy: true, ..usual });
        assert_eq!(of("zero-copy=yes,zero-copy=no"), usual);
        assert_eq!(of("zero-copy=yes,role=server"), Memif { server: true, ..usual });
        let small = of("bsize=1024,rsize=9");
        assert_eq!((small.bsize, small.ring()), (1024, 512));
    }

    proptest! {
        /// The C library is the judge.
        #[test]
        fn numbers_agree_with_c(text in "[ \t\r]{0,2}[+-]?[0-9]{0,22}[x. -]{0,2}[0-9]{0,2}") {
            let c = std::ffi::CString::new(text.clone()).expect("no NUL");
            // SAFETY: a NUL-terminated string that lives.
            let a = unsafe { libc::atoi(c.as_ptr()) };
            // SAFETY: as above; the end is not asked for.
            let u = unsafe { libc::strtoul(c.as_ptr(), std::ptr::null_mut(), 10) };
            prop_assert_eq!(atoi(&text), a);
            prop_assert_eq!(strtoul(&text), u);
        }

        /// DPDK is the judge of the rest: its own parser, on any text.
        #[test]
        fn pairs_agree_with_dpdk(text in "[ab=,\\[\\]1]{0,24}") {
            let c = std::ffi::CString::new(text.clone()).expect("no NUL");
            let ours = Devargs::parse(&text);
            prop_assume!(ours.keys().count() <= MOST);
            let keys: Vec<_> = ours.keys().chain(["", "a", "b", "1"]).collect();
            for key in keys {
                let k = std::ffi::CString::new(key).expect("no NUL");
                // SAFETY: NUL-terminated strings that live; values live as long as the list, which is freed
                // once.
                let (n, first) = unsafe {
                    let list = dpdk_sys::rte_kvargs_parse(c.as_ptr(), std::ptr::null());
                    prop_assert!(!list.is_null());
                    let n = dpdk_sys::rte_kvargs_count(list, k.as_ptr());
                    let first = dpdk_sys::rte_kvargs_get(list, k.as_ptr());
                    let text = |at| std::ffi::CStr::from_ptr(at).to_string_lossy().into_owned();
                    let first = if first.is_null() { String::new() } else { text(first) };
                    dpdk_sys::rte_kvargs_free(list);
                    (n, first)
                };
                prop_assert_eq!(ours.all(key).count(), n as usize, "{}", key);
                prop_assert_eq!(ours.all(key).next().unwrap_or_default(), first, "{}", key);
            }
        }
    }
}
