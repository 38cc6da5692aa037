//! What a storage must guarantee.
//!
//! The core decides *what* is durable; a [`Store`] makes it so. Three families of values exist:
//! definitions (small, keyed by the core), records (runs of messages of one queue, or of bodies that several queues share)
//! and settlements (what is settled of each queue, in parts that change one by one).
//! The store interprets none of them: their bytes are the core's, versioned by the core.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;

/// A message's identity in its queue: 0, 1, 2 … in the order of arrival, never reused.
pub type Position = u64;

/// A queue's identity in the store. Never reused, so that what is left of a deleted queue cannot turn up in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueId(pub u32);

impl QueueId {
    /// Owns the records of shared bodies, see [`RecordRef::bodies`]. No queue has this id.
    pub const SHARED: Self = Self(0);
}

/// A part of a queue's settlement, by a number of the core's choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Part(pub u64);

impl Part {
    /// What concerns the queue as a whole.
    pub const WHOLE: Self = Self(0);
}

/// A record's identity in the store: rises with every record, whatever its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordId(pub u64);

/// Where a run of messages of one queue is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRef {
    /// The record's key.
    pub id: RecordId,
    /// The position of its first message.
    pub first: Position,
    /// The position of its last message. Between the two, positions may be absent.
    pub last: Position,
    /// How many messages it holds.
    pub count: u32,
    /// How many bytes its data has.
    pub bytes: u32,
    /// The record only relieved memory: its messages were never promised to survive a restart.
    pub transient: bool,
    /// The bodies that its messages do not hold themselves.
    pub bodies: Option<BodiesRef>,
}

impl RecordRef {
    /// A record of shared bodies, which belongs to [`QueueId::SHARED`] and has no positions.
    pub fn of_bodies(id: RecordId, bytes: u32) -> Self {
        Self {
            id,
            first: 0,
            last: 0,
            count: 1,
            bytes,
            transient: false,
            bodies: None,
        }
    }

    /// How many bytes its messages have, wherever they are.
    pub fn bytes_read(&self) -> u64 {
        u64::from(self.bytes) + self.bodies.map_or(0, |bodies| u64::from(bodies.bytes))
    }
}

/// Bodies that a record's messages have in common with messages of other queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodiesRef {
    /// The record of [`QueueId::SHARED`] that they are in. It is stored for as long as a record refers to it.
    pub record: RecordId,
    /// How many bytes the bodies have to which this record refers.
    pub bytes: u32,
}

/// The longest data of a record that may share their memory with others. Longer ones have their own, which a store may keep.
pub const SHARED_MEMORY_BYTES_MAX: usize = 16 << 10;

/// One change within a [`CommitGroup`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Sets a definition.
    PutDefinition {
        /// The definition's key, chosen by the core.
        key: Bytes,
        /// Its new value.
        value: Bytes,
    },
    /// Removes a definition; one that is absent stays absent.
    DeleteDefinition {
        /// The definition's key.
        key: Bytes,
    },
    /// Adds a record. A record's id is used once.
    Append {
        /// The queue whose messages these are.
        queue: QueueId,
        /// Identity and extent.
        record: RecordRef,
        /// The messages. Up to [`SHARED_MEMORY_BYTES_MAX`] they may be part of much more memory, which is used again as soon as the group is
        /// dropped: a store that keeps them copies them.
        data: Bytes,
    },
    /// Removes a record that was appended by an earlier group.
    Remove {
        /// The queue it belongs to.
        queue: QueueId,
        /// The record, as it was appended.
        record: RecordRef,
    },
    /// Replaces a part of what is known of the queue's settled messages.
    Settle {
        /// The queue.
        queue: QueueId,
        /// Which part of its settlement.
        part: Part,
        /// In the core's encoding.
        data: Bytes,
    },
    /// Forgets a part of the queue's settlement. Records are removed by [`Write::Remove`].
    Forget {
        /// The queue.
        queue: QueueId,
        /// Which part of its settlement.
        part: Part,
    },
}

/// Changes that become durable together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitGroup {
    /// The changes, in the order in which they must be seen.
    pub writes: Vec<Write>,
}

impl CommitGroup {
    /// How many bytes its values have, without keys.
    pub fn bytes(&self) -> usize {
        let bytes = self.writes.iter().map(|write| match write {
            Write::PutDefinition { value: data, .. }
            | Write::Append { data, .. }
            | Write::Settle { data, .. } => data.len(),
            Write::DeleteDefinition { .. } | Write::Remove { .. } | Write::Forget { .. } => 0,
        });
        bytes.sum()
    }
}

/// How far a commit must have gone when it returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// On the disk: survives a loss of power.
    Fsync,
    /// With the operating system: survives the end of the process.
    Os,
}

/// What is found of one queue at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveredQueue {
    /// The queue.
    pub queue: QueueId,
    /// Its records, by first position.
    pub records: Vec<RecordRef>,
    /// The parts of its settlement that were written and not forgotten.
    pub settlement: BTreeMap<Part, Bytes>,
}

/// What is found at start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// All definitions, by key.
    pub definitions: Vec<(Bytes, Bytes)>,
    /// All queues that have a record or a settlement, by id.
    pub queues: Vec<RecoveredQueue>,
    /// An id above every record's that was ever stored.
    pub next_record: u64,
}

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A record or definition that must be there is not, or its bytes are damaged.
    #[error("{what} is missing or damaged: {reason}")]
    Damaged {
        /// What was asked for, in words that name queue and position.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store takes nothing at present (disk full, device error); the same call may succeed later.
    #[error("the storage is not available: {0}")]
    Unavailable(String),
}

/// A storage for one broker.
///
/// # Guarantees
/// * A group is applied whole or not at all, also across a crash; groups are applied in the order of the calls.
/// * When [`Store::commit`] has returned `Ok`, the group is visible to [`Store::read`] and, to the degree that the
///   caller asked for, survives a crash.
/// * After an error nothing of the group is visible, and a retry of the same group is legal.
///
/// All calls block: only the committer thread calls `commit`, only threads that may block call `read`.
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// Reads what is needed to start: definitions, and where the messages are, but not the messages.
    /// Records that are transient are removed instead of being returned.
    fn recover(&self) -> Result<Recovered, StoreError>;

    /// Applies a group.
    fn commit(&self, group: &CommitGroup, durability: Durability) -> Result<(), StoreError>;

    /// Reads one record's data.
    fn read(&self, queue: QueueId, record: &RecordRef) -> Result<Bytes, StoreError>;

    /// Bytes that are free where the store lives; `u64::MAX` if that has no meaning.
    fn free_bytes(&self) -> Result<u64, StoreError>;

    /// From now on, commits that would leave less than this free are refused. Without meaning where nothing is full.
    fn keep_free(&self, bytes: u64);
}
