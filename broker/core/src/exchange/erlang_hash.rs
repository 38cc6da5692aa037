//! The hash that Erlang's `erlang:phash2/2` has for a list of binaries, so that an `x-modulus-hash` exchange sends a key where RabbitMQ
//! sends it. It is Bob Jenkins' hash of 1996 with constants of Erlang's own, which never change between its releases.

/// The golden ratio, in 32 bits.
const GOLDEN: u32 = 0x9e37_79b9;
/// What is mixed in for the end of a list that has elements, and for each binary.
const END: u32 = GOLDEN.wrapping_mul(2);
const BINARY: u32 = GOLDEN.wrapping_mul(13);
/// Erlang's number for what ends a list.
const NIL: u32 = 2;
/// The hash of an empty list, and of one whose hash would be 0.
const EMPTY: u32 = 3_468_870_702;
/// The range of `erlang:phash2/1`, which RabbitMQ asks for.
const RANGE: u32 = 1 << 27;

/// `erlang:phash2(Texts, 1 bsl 27)`.
pub(super) fn of_texts(texts: &[&str]) -> u32 {
    let hash = texts.iter().fold(0, |hash: u32, text| {
        let start = BINARY.wrapping_add(hash);
        if text.is_empty() {
            start
        } else {
            of_bytes(text.as_bytes(), start)
        }
    });
    if hash == 0 {
        return EMPTY % RANGE;
    }
    let [_, _, hash] = mixed([END.wrapping_add(NIL), END, hash]);
    hash % RANGE
}

fn of_bytes(bytes: &[u8], start: u32) -> u32 {
    let mut state = [GOLDEN, GOLDEN, start];
    let (blocks, rest) = bytes.as_chunks::<12>();
    for block in blocks {
        let (words, _) = block.as_chunks::<4>();
        for (part, word) in state.iter_mut().zip(words) {
            *part = part.wrapping_add(u32::from_le_bytes(*word));
        }
        state = mixed(state);
    }
    let mut last = [0; 12];
    // The lowest byte of the third word is the length's.
    for (index, &byte) in rest.iter().enumerate() {
        let place = if index < 8 { index } else { index + 1 };
        if let Some(to) = last.get_mut(place) {
            *to = byte;
        }
    }
    let (words, _) = last.as_chunks::<4>();
    for (part, word) in state.iter_mut().zip(words) {
        *part = part.wrapping_add(u32::from_le_bytes(*word));
    }
    let [a, b, c] = state;
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let [_, _, hash] = mixed([a, b, c.wrapping_add(length)]);
    hash
}

fn mixed([mut a, mut b, mut c]: [u32; 3]) -> [u32; 3] {
    for [right, left, right_again] in [[13, 8, 13], [12, 16, 5], [3, 10, 15]] {
        a = a.wrapping_sub(b).wrapping_sub(c) ^ (c >> right);
        b = b.wrapping_sub(c).wrapping_sub(a) ^ (a << left);
        c = c.wrapping_sub(a).wrapping_sub(b) ^ (b >> right_again);
    }
    [a, b, c]
}

#[cfg(test)]
mod tests {
    use super::of_texts;

    /// As Erlang/OTP 25 has them.
    #[test]
    fn hashes_are_those_of_erlang() {
        let long = "order.created.eu-west-1.customer.42";
        for (texts, hash) in [
            (&["key"][..], 48_858_968),
            (&[""], 38_220_213),
            (&["0123456789a"], 26_194_452),
            (&["abcdefghijkl"], 89_208_944),
            (&[long], 72_671_157),
            (&["a", "bc"], 20_875_735),
            (&[], 3_468_870_702 % (1 << 27)),
        ] {
            assert_eq!(of_texts(texts), hash, "{texts:?}");
        }
    }
}
