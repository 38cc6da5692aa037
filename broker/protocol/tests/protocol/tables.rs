//! Field tables as bytes.

use amphora_protocol::limits::TABLE_DEPTH_MAX;
use amphora_protocol::wire::WireError;
use amphora_protocol::wire::table::{Decimal, FieldTable, FieldValue};
use arbtest::arbitrary::{self, Unstructured};
use bytes::Bytes;
use expect_test::expect;

use crate::samples::short;

/// Any table, at most this deep.
pub(crate) fn any_table(u: &mut Unstructured<'_>, depth: usize) -> arbitrary::Result<FieldTable> {
    let mut table = FieldTable::new();
    for _ in 0..u.int_in_range(0..=4)? {
        // Few names, so that some come twice.
        let name = *u.choose(&["", "a", "b", "x-death", "ünïcode"])?;
        table.push(short(name), any_value(u, depth)?);
    }
    Ok(table)
}

fn any_value(u: &mut Unstructured<'_>, depth: usize) -> arbitrary::Result<FieldValue> {
    Ok(match u.int_in_range(0..=if depth > 1 { 17 } else { 15 })? {
        0 => FieldValue::Bool(u.arbitrary()?),
        1 => FieldValue::I8(u.arbitrary()?),
        2 => FieldValue::U8(u.arbitrary()?),
        3 => FieldValue::I16(u.arbitrary()?),
        4 => FieldValue::U16(u.arbitrary()?),
        5 => FieldValue::I32(u.arbitrary()?),
        6 => FieldValue::U32(u.arbitrary()?),
        7 => FieldValue::I64(u.arbitrary()?),
        8 => FieldValue::LongLong(u.arbitrary()?),
        9 => FieldValue::F32(f32::from_bits(u.arbitrary()?)),
        10 => FieldValue::F64(f64::from_bits(u.arbitrary()?)),
        11 => FieldValue::Decimal(Decimal {
            scale: u.arbitrary()?,
            value: u.arbitrary()?,
        }),
        12 => FieldValue::LongString(u.arbitrary::<Vec<u8>>()?.into()),
        13 => FieldValue::Timestamp(u.arbitrary()?),
        14 => FieldValue::Void,
        15 => FieldValue::ByteArray(u.arbitrary::<Vec<u8>>()?.into()),
        16 => {
            let count = u.int_in_range(0..=4)?;
            let values = (0..count).map(|_| any_value(u, depth - 1));
            FieldValue::Array(values.collect::<arbitrary::Result<_>>()?)
        }
        _ => FieldValue::Table(any_table(u, depth - 1)?),
    })
}

fn encode(table: &FieldTable) -> Vec<u8> {
    let mut out = Vec::new();
    table.encode(&mut out);
    out
}

#[test]
fn any_table_comes_back_as_it_was() {
    arbtest::arbtest(|u| {
        let table = any_table(u, 5)?;
        let bytes = encode(&table);
        let decoded = FieldTable::decode(&bytes).unwrap();
        assert_eq!(decoded, table);
        assert_eq!(encode(&decoded), bytes);
        Ok(())
    });
}

#[test]
fn any_table_is_refused_wherever_it_is_cut() {
    arbtest::arbtest(|u| {
        let bytes = encode(&any_table(u, 3)?);
        for end in 0..bytes.len() {
            assert_eq!(FieldTable::decode(&bytes[..end]), Err(WireError::Truncated));
        }
        Ok(())
    });
}

#[test]
fn every_type_has_its_tag() {
    let values = [
        FieldValue::Bool(true),
        FieldValue::I8(-1),
        FieldValue::U8(1),
        FieldValue::I16(-1),
        FieldValue::U16(1),
        FieldValue::I32(-1),
        FieldValue::U32(1),
        FieldValue::I64(-1),
        FieldValue::LongLong(-1),
        FieldValue::F32(0.5),
        FieldValue::F64(0.5),
        FieldValue::Decimal(Decimal {
            scale: 2,
            value: 150,
        }),
        FieldValue::LongString(Bytes::from_static(b"s")),
        FieldValue::Array(vec![FieldValue::Void]),
        FieldValue::Timestamp(1),
        FieldValue::Table(FieldTable::new()),
        FieldValue::Void,
        FieldValue::ByteArray(Bytes::from_static(b"x")),
    ];
    let mut lines = String::new();
    for value in values {
        let name = value.type_name();
        let bytes = encode(&FieldTable::from_iter([(short(""), value)]));
        let (tag, octets) = (char::from(bytes[5]), &bytes[6..]);
        lines += &format!("{tag} {octets:02x?} {name}\n");
    }
    expect![[r#"
        t [01] bool
        b [ff] byte
        B [01] unsignedbyte
        s [ff, ff] short
        u [00, 01] unsignedshort
        I [ff, ff, ff, ff] signedint
        i [00, 00, 00, 01] unsignedint
        l [ff, ff, ff, ff, ff, ff, ff, ff] long
        L [ff, ff, ff, ff, ff, ff, ff, ff] long
        f [3f, 00, 00, 00] float
        d [3f, e0, 00, 00, 00, 00, 00, 00] double
        D [02, 00, 00, 00, 96] decimal
        S [00, 00, 00, 01, 73] longstr
        A [00, 00, 00, 01, 56] array
        T [00, 00, 00, 00, 00, 00, 00, 01] timestamp
        F [00, 00, 00, 00] table
        V [] void
        x [00, 00, 00, 01, 78] binary
    "#]]
    .assert_eq(&lines);
}

/// A table in a table in a table, so many in all.
fn nested(depth: usize) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0, 0];
    for _ in 1..depth {
        let inside = [b"\x00F".as_slice(), &bytes].concat();
        bytes = [
            &u32::try_from(inside.len()).unwrap().to_be_bytes(),
            inside.as_slice(),
        ]
        .concat();
    }
    bytes
}

#[test]
fn nesting_has_a_limit() {
    assert!(FieldTable::decode(&nested(TABLE_DEPTH_MAX)).is_ok());
    assert_eq!(
        FieldTable::decode(&nested(TABLE_DEPTH_MAX + 1)),
        Err(WireError::TooDeep)
    );
    assert_eq!(FieldTable::decode(&nested(10_000)), Err(WireError::TooDeep));
}

#[test]
fn malformed_values_are_refused() {
    let refused = |inside: &[u8]| {
        let length = u32::try_from(inside.len()).unwrap();
        FieldTable::decode(&[&length.to_be_bytes(), inside].concat()).unwrap_err()
    };
    assert_eq!(refused(b"\x01az"), WireError::UnknownFieldType(b'z'));
    assert_eq!(
        refused(b"\x01aA\x00\x00\x00\x01z"),
        WireError::UnknownFieldType(b'z')
    );
    assert_eq!(refused(b"\x01\xFFV"), WireError::MalformedUtf8);
    assert_eq!(refused(b"\x01aS\xFF\xFF\xFF\xFF"), WireError::Truncated);
    assert_eq!(refused(b"\x05a"), WireError::Truncated);
    assert_eq!(
        FieldTable::decode(b"\0\0\0\0\0"),
        Err(WireError::Trailing(1))
    );
}

#[test]
fn a_boolean_of_another_octet_is_true() {
    let table = FieldTable::decode(b"\0\0\0\x04\x01at\x07").unwrap();
    assert_eq!(table.get("a").and_then(FieldValue::as_bool), Some(true));
    assert_eq!(encode(&table), b"\0\0\0\x04\x01at\x01");
}

#[test]
fn the_first_of_two_fields_is_found_and_both_are_kept() {
    let mut table = FieldTable::new();
    table.push(short("a"), 1_i32);
    table.push(short("a"), 2_i32);
    assert_eq!(table.get("a").and_then(FieldValue::as_integer), Some(1));
    assert_eq!(table.insert(short("a"), 3_i32), Some(FieldValue::I32(1)));
    let values: Vec<_> = table.iter().map(|(_, value)| value.as_integer()).collect();
    assert_eq!(values, [Some(3), Some(2)]);
    assert_eq!(table.remove("a"), Some(FieldValue::I32(3)));
    assert!(table.is_empty());
}
