//! Figures of what has happened in a queue.

/// Figures that a listing shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages that were published into the queue.
    pub published: u64,
    /// Deliveries to consumers that acknowledge.
    pub delivered: u64,
    /// Deliveries to consumers that do not.
    pub delivered_no_ack: u64,
    /// basic.get that is to be acknowledged.
    pub got: u64,
    /// basic.get that is not.
    pub got_no_ack: u64,
    /// basic.get that found nothing.
    pub got_nothing: u64,
    /// Deliveries of messages that had been delivered before.
    pub redelivered: u64,
    /// Messages acknowledged.
    pub acked: u64,
    /// Messages whose time to live ran out before anybody took them.
    pub expired: u64,
}

impl std::ops::AddAssign for Counters {
    fn add_assign(&mut self, more: Self) {
        // Taken apart, so that the compiler names a figure that is forgotten here.
        let Self {
            published,
            delivered,
            delivered_no_ack,
            got,
            got_no_ack,
            got_nothing,
            redelivered,
            acked,
            expired,
        } = more;
        self.published += published;
        self.delivered += delivered;
        self.delivered_no_ack += delivered_no_ack;
        self.got += got;
        self.got_no_ack += got_no_ack;
        self.got_nothing += got_nothing;
        self.redelivered += redelivered;
        self.acked += acked;
        self.expired += expired;
    }
}
