//! "Did you mean …?"

/// The known name that `found` is probably a misspelling of.
pub(crate) fn nearest<'a>(found: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |name: &&'a str| strsim::damerau_levenshtein(found, name);
    let best = known.iter().copied().min_by_key(distance)?;
    // Further away than a third of the name it is another word, not a slip of the fingers.
    (distance(&best) <= (best.len() / 3).max(1)).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["durable", "auto_delete", "arguments"];
        assert_eq!(nearest("durabel", &known), Some("durable"));
        assert_eq!(nearest("autodelete", &known), Some("auto_delete"));
        assert_eq!(nearest("node", &["name"]), None);
        assert_eq!(nearest("node", &[]), None);
    }
}
