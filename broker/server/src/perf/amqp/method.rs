//! Class and method numbers, as in the specification's XML.

/// Class and method number.
pub(crate) type MethodId = (u16, u16);

/// Class 10.
pub(crate) mod connection {
    use super::MethodId;

    pub(crate) const START: MethodId = (10, 10);
    pub(crate) const START_OK: MethodId = (10, 11);
    pub(crate) const TUNE: MethodId = (10, 30);
    pub(crate) const TUNE_OK: MethodId = (10, 31);
    pub(crate) const OPEN: MethodId = (10, 40);
    pub(crate) const OPEN_OK: MethodId = (10, 41);
    pub(crate) const CLOSE: MethodId = (10, 50);
    pub(crate) const CLOSE_OK: MethodId = (10, 51);
    pub(crate) const BLOCKED: MethodId = (10, 60);
    pub(crate) const UNBLOCKED: MethodId = (10, 61);
}

/// Class 20.
pub(crate) mod channel {
    use super::MethodId;

    pub(crate) const OPEN: MethodId = (20, 10);
    pub(crate) const OPEN_OK: MethodId = (20, 11);
    pub(crate) const CLOSE: MethodId = (20, 40);
    pub(crate) const CLOSE_OK: MethodId = (20, 41);
}

/// Class 40.
pub(crate) mod exchange {
    use super::MethodId;

    pub(crate) const DECLARE: MethodId = (40, 10);
    pub(crate) const DECLARE_OK: MethodId = (40, 11);
    pub(crate) const DELETE: MethodId = (40, 20);
    pub(crate) const DELETE_OK: MethodId = (40, 21);
}

/// Class 50.
pub(crate) mod queue {
    use super::MethodId;

    pub(crate) const DECLARE: MethodId = (50, 10);
    pub(crate) const DECLARE_OK: MethodId = (50, 11);
    pub(crate) const BIND: MethodId = (50, 20);
    pub(crate) const BIND_OK: MethodId = (50, 21);
    pub(crate) const DELETE: MethodId = (50, 40);
    pub(crate) const DELETE_OK: MethodId = (50, 41);
}

/// Class 60.
pub(crate) mod basic {
    use super::MethodId;

    /// The number of the class, which the content header repeats.
    pub(crate) const CLASS: u16 = 60;
    pub(crate) const QOS: MethodId = (60, 10);
    pub(crate) const QOS_OK: MethodId = (60, 11);
    pub(crate) const CONSUME: MethodId = (60, 20);
    pub(crate) const CONSUME_OK: MethodId = (60, 21);
    pub(crate) const CANCEL: MethodId = (60, 30);
    pub(crate) const CANCEL_OK: MethodId = (60, 31);
    pub(crate) const PUBLISH: MethodId = (60, 40);
    pub(crate) const DELIVER: MethodId = (60, 60);
    pub(crate) const ACK: MethodId = (60, 80);
    pub(crate) const REJECT: MethodId = (60, 90);
    pub(crate) const NACK: MethodId = (60, 120);
}

/// Class 85.
pub(crate) mod confirm {
    use super::MethodId;

    pub(crate) const SELECT: MethodId = (85, 10);
    pub(crate) const SELECT_OK: MethodId = (85, 11);
}
