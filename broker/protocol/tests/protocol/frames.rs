//! Frames as bytes.

use amphora_protocol::wire::frame::{self, Frame, Split};
use amphora_protocol::wire::method::{Method, basic, tx};
use amphora_protocol::wire::types::{ChannelNumber, DeliveryTag};

const CHANNEL: ChannelNumber = ChannelNumber(0x0102);

/// All frames in some bytes.
fn frames(mut bytes: &[u8]) -> Vec<Frame<'_>> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let Split::Whole(frame) = frame::split(bytes, u32::MAX) else {
            panic!("{bytes:?}")
        };
        bytes = &bytes[frame.payload.len() + frame::OVERHEAD..];
        frames.push(frame);
    }
    frames
}

#[test]
fn a_method_frame_is_as_long_as_it_says() {
    let mut out = b"before".to_vec();
    frame::write_method_frame(CHANNEL, &tx::Select {}, &mut out);
    assert_eq!(out, b"before\x01\x01\x02\0\0\0\x04\0\x5a\0\x0a\xce");
}

#[test]
fn the_enum_writes_what_the_type_writes() {
    let ack = basic::Ack {
        delivery_tag: DeliveryTag(3),
        multiple: true,
    };
    let (mut by_type, mut by_enum) = (Vec::new(), Vec::new());
    frame::write_method_frame(CHANNEL, &ack, &mut by_type);
    frame::write_method_frame(CHANNEL, &Method::from(ack), &mut by_enum);
    assert_eq!(by_type, by_enum);
}

#[test]
fn a_body_is_cut_so_that_whole_frames_fit() {
    let body: Vec<u8> = (0..=255).collect();
    let mut out = Vec::new();
    frame::write_content(CHANNEL, b"\0\0", &body, 108, &mut out);
    let frames = frames(&out);
    assert_eq!(frames[0].kind, frame::HEADER);
    assert_eq!(frames[0].payload, b"\0\x3c\0\0\0\0\0\0\0\0\x01\0\0\0");
    let pieces: Vec<_> = frames[1..]
        .iter()
        .map(|frame| frame.payload.len())
        .collect();
    assert_eq!(pieces, [100, 100, 56]);
    assert_eq!(
        frames[1..]
            .iter()
            .flat_map(|frame| frame.payload)
            .copied()
            .collect::<Vec<_>>(),
        body
    );
}

#[test]
fn an_empty_body_has_no_frame_and_no_limit_means_one() {
    let mut out = Vec::new();
    frame::write_content(CHANNEL, b"\0\0", b"", 4096, &mut out);
    assert_eq!(frames(&out).len(), 1);
    out.clear();
    frame::write_body_frames(CHANNEL, &vec![0; 100_000], 0, &mut out);
    assert_eq!(frames(&out).len(), 1);
}

#[test]
fn a_heartbeat_is_an_empty_frame() {
    let mut out = Vec::new();
    frame::write_heartbeat(&mut out);
    assert_eq!(out, b"\x08\0\0\0\0\0\0\xce");
}

#[test]
fn a_cut_frame_says_what_it_wants() {
    let mut out = Vec::new();
    frame::write_frame(frame::BODY, CHANNEL, b"body", &mut out);
    for end in 0..out.len() {
        let wanted = if end < frame::HEADER_LEN {
            frame::HEADER_LEN
        } else {
            out.len()
        };
        assert_eq!(frame::split(&out[..end], 4), Split::Wanted(wanted), "{end}");
    }
    let whole = Frame {
        kind: frame::BODY,
        channel: CHANNEL,
        payload: b"body",
    };
    assert_eq!(frame::split(&out, 4), Split::Whole(whole));
}

#[test]
fn a_frame_that_is_too_large_is_refused_by_its_header() {
    let header = [3, 0, 1, 0, 0, 0, 5];
    assert_eq!(
        frame::split(&header, 4),
        Split::TooLarge { kind: 3, size: 5 }
    );
    assert_eq!(
        frame::split(&[3, 0, 1, 255, 255, 255, 255], 4096),
        Split::TooLarge {
            kind: 3,
            size: u32::MAX
        }
    );
}

#[test]
fn another_end_marker_is_refused() {
    let frame = Frame {
        kind: 3,
        channel: ChannelNumber(1),
        payload: b"x",
    };
    assert_eq!(
        frame::split(b"\x03\0\x01\0\0\0\x01x\xcd", 9),
        Split::BadEnd { frame, end: 0xcd }
    );
}
