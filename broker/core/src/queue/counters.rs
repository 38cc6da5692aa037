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
    /// Messages that a consumer rejected without requeue.
    pub rejected: u64,
    /// Messages that gave way because the queue was too long.
    pub dropped: u64,
    /// Messages that were delivered in vain too often.
    pub exhausted: u64,
    /// Messages that were published to the dead-letter exchange, or found nobody there.
    pub dead_lettered: u64,
    /// Publishes that were refused because the queue was full.
    pub refused: u64,
    /// Messages that were written to the store.
    pub stored: u64,
    /// Messages that were read back from it.
    pub read_back: u64,
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
            rejected,
            dropped,
            exhausted,
            dead_lettered,
            refused,
            stored,
            read_back,
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
        self.rejected += rejected;
        self.dropped += dropped;
        self.exhausted += exhausted;
        self.dead_lettered += dead_lettered;
        self.refused += refused;
        self.stored += stored;
        self.read_back += read_back;
    }
}
