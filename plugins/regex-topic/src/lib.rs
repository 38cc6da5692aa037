//! A type of exchange whose binding keys are regular expressions.

use amphora_sdk::exchange::{Answer, Binding, Bindings, Declaration, Exchange, Message};
use amphora_sdk::{Description, Needs};
use regex::{Regex, RegexBuilder};

/// What a compiled expression may take, in bytes.
const SIZE_MAX: usize = 256 * 1024;

/// What matching may remember, in bytes for each expression. With less than it asks for, matching is slower.
const CACHE_MAX: usize = 64 * 1024;

/// The exchange.
#[derive(Debug)]
pub struct RegexTopic;

impl Exchange for RegexTopic {
    type Rule = Regex;

    fn describe() -> Description {
        Description::new(
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            Needs::new().routing_key().pure(),
        )
    }

    fn create(_: &Declaration) -> Result<Self, String> {
        Ok(Self)
    }

    fn rule(&self, binding: Binding) -> Result<Regex, String> {
        RegexBuilder::new(&binding.routing_key)
            .size_limit(SIZE_MAX)
            .dfa_size_limit(CACHE_MAX)
            .build()
            .map_err(|error| format!("the binding key is a regular expression: {error}"))
    }

    fn route(
        &mut self,
        bindings: &Bindings<Regex>,
        message: &Message<'_>,
        answer: &mut Answer<'_>,
    ) {
        let key = message.routing_key();
        for (id, regex) in bindings {
            if regex.is_match(key) {
                answer.to(id);
            }
        }
    }
}

amphora_sdk::export_exchange!(RegexTopic);

#[cfg(test)]
mod tests {
    use amphora_sdk::Table;
    use amphora_sdk::testing::{Router, message};

    use super::RegexTopic;

    fn router() -> Router<RegexTopic> {
        Router::declare(Table::new()).expect("no arguments")
    }

    #[test]
    fn a_message_goes_wherever_its_key_matches() {
        let mut router = router();
        for (queue, pattern) in [
            ("orders", r"^order\.(new|paid)\.\d+$"),
            ("europe", r"(?i)\.(de|fr)\b"),
            ("all", ""),
        ] {
            router
                .bind(queue, pattern, Table::new())
                .expect("an expression");
        }
        for (key, expected) in [
            ("order.new.42", ["all", "orders"].as_slice()),
            ("order.new.x", &["all"]),
            ("an order.new.42", &["all"]),
            ("sale.DE", &["all", "europe"]),
            ("order.paid.1.de", &["all", "europe"]),
            ("", &["all"]),
        ] {
            assert_eq!(router.route(&message().routing_key(key)), expected, "{key}");
        }
        assert_eq!(router.unbind("all"), Ok(()));
        assert!(router.route(&message()).is_empty());
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        let mut router = router();
        let error = router.bind("q", "a(b", Table::new()).expect_err("unclosed");
        assert!(
            error.starts_with("the binding key is a regular expression: "),
            "{error}"
        );
        assert!(error.contains("unclosed group"), "{error}");
        let error = router
            .bind("q", r"(\w{99}){99}", Table::new())
            .expect_err("too large");
        assert!(error.contains("exceeds size limit of 262144"), "{error}");
        assert!(router.route(&message()).is_empty());
    }

    #[test]
    fn an_expression_that_defeats_backtracking_takes_no_time() {
        let mut router = router();
        router
            .bind("q", "^(a+)+$", Table::new())
            .expect("an expression");
        let key = "a".repeat(254) + "b";
        assert!(router.route(&message().routing_key(&key)).is_empty());
    }
}
