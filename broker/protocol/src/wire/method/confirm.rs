//! Class 85: publisher confirms (RabbitMQ's extension).

use super::class::class;

class! {
    confirm = 85;

    /// Every publish on this channel is to be confirmed.
    Select = 10 "select" {
        /// No answer is wanted.
        no_wait: bool,
    }

    /// They will be.
    SelectOk = 11 "select-ok" {}
}
