//! [`words`]: command lines of tests, cut into words as a shell does.

/// The words of a line.
pub(crate) fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}
