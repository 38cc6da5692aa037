//! Reads packed messages.

/// The packed bytes end too early, which cannot be: the host has packed them itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Short;

pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Short> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Short)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Short> {
        let (first, rest) = self.0.split_first().ok_or(Short)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Short> {
        let (number, rest) = self.0.split_first_chunk().ok_or(Short)?;
        self.0 = rest;
        Ok(u32::from_le_bytes(*number))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Short> {
        let (number, rest) = self.0.split_first_chunk().ok_or(Short)?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*number))
    }

    /// Behind a length of one octet. What is not UTF-8 cannot be shown as it is.
    pub(super) fn short(&mut self) -> Result<String, Short> {
        let length = self.u8()?;
        let bytes = self.take(length.into())?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    /// Behind a length of four octets.
    pub(super) fn long(&mut self) -> Result<&'a [u8], Short> {
        let length = self.u32()?;
        self.take(usize::try_from(length).map_err(|_| Short)?)
    }
}
