//! Patterns of routing keys, as those of topic exchanges.

/// Words and wildcards: `*` stands for one word, `#` for any number of them.
#[derive(Debug)]
pub(crate) struct Topic(Vec<String>);

impl Topic {
    pub(crate) fn new(pattern: &str) -> Self {
        Self(pattern.split('.').map(str::to_owned).collect())
    }

    pub(crate) fn matches(&self, key: &str) -> bool {
        let key: Vec<&str> = key.split('.').collect();
        matches(&self.0, &key)
    }
}

fn matches(pattern: &[String], key: &[&str]) -> bool {
    let Some((word, pattern_rest)) = pattern.split_first() else {
        return key.is_empty();
    };
    if word == "#" {
        return (0..=key.len()).any(|skipped| matches(pattern_rest, &key[skipped..]));
    }
    match key.split_first() {
        Some((first, rest)) => (word == "*" || word == first) && matches(pattern_rest, rest),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::Topic;

    #[test]
    fn wildcards_stand_for_words() {
        for (pattern, key, expected) in [
            ("a.b", "a.b", true),
            ("a.b", "a.c", false),
            ("a.*", "a.b", true),
            ("a.*", "a", false),
            ("a.*", "a.b.c", false),
            ("a.#", "a", true),
            ("a.#", "a.b.c", true),
            ("#.c", "a.b.c", true),
            ("a.#.c", "a.c", true),
            ("a.#.c", "a.b", false),
            ("#", "", true),
        ] {
            assert_eq!(
                Topic::new(pattern).matches(key),
                expected,
                "{pattern} {key}"
            );
        }
    }
}
