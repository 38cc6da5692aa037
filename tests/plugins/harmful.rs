//! Transforms that do harm to the host rather than to themselves: what they answer, store and send is bounded in time and memory, and nobody else
//! notices.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use amphora_protocol::wire::method::{Method, basic, confirm, exchange, queue};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::table::{FieldTable, FieldValue};
use amphora_protocol::wire::types::{ExchangeName, QueueName, RoutingKey, ShortString};
use amphora_tests::{Broker, Client, Settings, workspace};
use anyhow::{Context, bail, ensure};
use bytes::Bytes;

use crate::beside::{Beside, Went};
use crate::built::component;
use crate::curve::Curve;

pub(crate) const EXCHANGE: &str = "harmed";
pub(crate) const QUEUE: &str = "victim";

/// How long the other client goes on at least.
const SPAN: Duration = Duration::from_millis(800);
/// The longest that a burst of the other client may take, on a machine that is busy with other tests.
const LONGEST: Duration = Duration::from_millis(750);
/// How often a case is played at most until no harm is seen: the machine may be busy with something else for a moment, and harm shows each time.
const TRIES: u32 = 3;
/// Bytes that the broker may have more of at any time: ten MiB are measured. A plugin that answers 64 MiB at once has them in its own memory, too.
const RISE_MAX: u64 = 32 << 20;
const LARGE_RISE_MAX: u64 = 180 << 20;
/// How long the messages of one case may take: two seconds are measured, and six on a machine that is busy. What costs the square of its size takes
/// longer.
const TIME_MAX: Duration = Duration::from_secs(20);

/// What becomes of the messages.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Passed,
    /// They come back with a reason that says this.
    Refused(&'static str),
}

struct Case {
    key: &'static str,
    messages: u64,
    /// Headers that each message has.
    headers: usize,
    settings: &'static str,
    fate: Fate,
}

const fn case(key: &'static str, messages: u64, settings: &'static str, fate: Fate) -> Case {
    Case {
        key,
        messages,
        headers: 0,
        settings,
        fate,
    }
}

const QUICK: &str = "";
/// What a guest needs for its part of the harm is not what is tested.
const PATIENT: &str = "deadline = \"5s\"\nmemory = \"256MiB\"";

/// Five failures would put the plugin into quarantine, and nothing would be tried any more.
const FEW: u64 = 4;

const CASES: [Case; 11] = [
    case("pass.0", 200, QUICK, Fate::Passed),
    case("loop.0", FEW, QUICK, Fate::Refused("deadline of 10 ms")),
    case("panic.0", FEW, QUICK, Fate::Refused("transform.apply")),
    case(
        "bomb.800",
        FEW,
        PATIENT,
        Fate::Refused("more than 65536 bytes"),
    ),
    case(
        "send.800",
        20,
        PATIENT,
        Fate::Refused("more than 65536 bytes"),
    ),
    case(
        "set.40000",
        FEW,
        PATIENT,
        Fate::Refused("more than 65536 bytes"),
    ),
    case("remove.100000", FEW, PATIENT, Fate::Refused("100000 names")),
    case("large.65", FEW, PATIENT, Fate::Refused("67108864 bytes")),
    case("write.80", 100, PATIENT, Fate::Passed),
    case("come-and-go.2000", 50, PATIENT, Fate::Passed),
    Case {
        headers: 20_000,
        ..case(
            "pass.0",
            20,
            "deadline = \"5s\"\nmemory = \"256MiB\"\nconfig = { headers = \"all\" }",
            Fate::Passed,
        )
    },
];

#[test]
fn what_transforms_answer_store_and_send_is_bounded() -> anyhow::Result<()> {
    let path = component_file()?;
    println!(
        "{:<18} {:>13} {:>10}  memory in MiB, from beginning to end",
        "harm", "beside, msg/s", "at most"
    );
    for case in &CASES {
        let named = || format!("{}, {} headers", case.key, case.headers);
        let mut tries = 1;
        loop {
            let row = play(case, path.path()).with_context(named)?;
            let judged = judge(case, &row).with_context(named);
            if judged.is_ok() || tries == TRIES {
                judged?;
                break;
            }
            println!("once more: {judged:?}");
            tries += 1;
        }
    }
    Ok(())
}

/// The component, in a file.
pub(crate) fn component_file() -> anyhow::Result<tempfile::NamedTempFile> {
    let file = tempfile::Builder::new().suffix(".wasm").tempfile()?;
    let component = component(&workspace().join("tests/plugins/harmful"))?;
    std::fs::write(file.path(), component)?;
    Ok(file)
}

/// A broker with the plugin, which has these lines more in its section.
pub(crate) fn broker(path: &Path, more: &str) -> anyhow::Result<Broker> {
    Broker::with(Settings {
        config: format!(
            "[[plugin]]\nname = \"harmful\"\npath = \"{}\"\ngrants = [\"config\", \"kv\", \"publish\"]\n{more}\n",
            path.display()
        ),
        ..Settings::default()
    })
}

/// What a case came to.
struct Row {
    /// How long its messages took.
    took: Duration,
    /// The other client.
    beside: Went,
    curve: Curve,
}

fn play(case: &Case, path: &Path) -> anyhow::Result<Row> {
    let broker = broker(path, case.settings)?;
    let mut other = Beside::new(&broker)?;
    let done = AtomicBool::new(false);
    let mut curve = Curve::begin(broker.pid()?)?;
    let begun = Instant::now();
    let (harmed, beside) = std::thread::scope(|scope| {
        let beside =
            scope.spawn(|| other.go_on(|| !done.load(Ordering::Relaxed) || begun.elapsed() < SPAN));
        let harmed = scope.spawn(|| {
            let harmed = harm(&broker, case);
            done.store(true, Ordering::Relaxed);
            harmed.map(|()| begun.elapsed())
        });
        while !beside.is_finished() {
            curve.look();
            std::thread::sleep(Curve::EVERY);
        }
        (harmed.join(), beside.join())
    });
    let (Ok(harmed), Ok(beside)) = (harmed, beside) else {
        bail!("a client panicked");
    };
    Ok(Row {
        took: harmed?,
        beside: beside?,
        curve,
    })
}

/// Shows how it went, and says what was harm.
#[expect(clippy::print_stdout, reason = "shown when somebody measures")]
fn judge(case: &Case, row: &Row) -> anyhow::Result<()> {
    let Row {
        took,
        beside,
        curve,
    } = row;
    let mut name = case.key.to_owned();
    if case.headers > 0 {
        write!(name, " +{}", case.headers)?;
    }
    println!(
        "{name:<18} {:>13} {:>7} ms  {curve}; {took:?}",
        beside.rate,
        beside.longest.as_millis()
    );
    ensure!(*took <= TIME_MAX, "it takes {took:?}");
    ensure!(
        beside.longest <= LONGEST,
        "the other client waited {:?}",
        beside.longest
    );
    let risen = curve.risen();
    let allowed = if case.key.starts_with("large") {
        LARGE_RISE_MAX
    } else {
        RISE_MAX
    };
    ensure!(risen <= allowed, "{risen} bytes more than before");
    Ok(())
}

fn harm(broker: &Broker, case: &Case) -> anyhow::Result<()> {
    let mut client = connect(broker)?;
    let mut bytes = Vec::new();
    let properties = with_headers(case.headers)?;
    for _ in 0..case.messages {
        client.write_publish(1, &publish(case.key)?, &properties, b"harm", &mut bytes);
    }
    client.write(&bytes)?;
    let reasons = answers(&mut client, case.messages)?;
    match case.fate {
        Fate::Passed => ensure!(
            reasons.is_empty(),
            "{} come back: {:?}",
            reasons.len(),
            reasons.first()
        ),
        Fate::Refused(expected) => {
            ensure!(
                reasons.len() as u64 == case.messages,
                "{} come back",
                reasons.len()
            );
            for reason in &reasons {
                ensure!(reason.contains(expected), "{reason}");
            }
        }
    }
    let passed = case.messages - reasons.len() as u64;
    let ready = ready_count(&mut client)?;
    ensure!(ready == passed, "{ready} messages arrived of {passed}");
    Ok(())
}

fn with_headers(count: usize) -> anyhow::Result<BasicProperties> {
    let mut headers = FieldTable::new();
    for number in 0..count {
        headers.push(ShortString::new(number.to_string())?, FieldValue::Void);
    }
    Ok(BasicProperties {
        headers: (count > 0).then_some(headers),
        ..BasicProperties::default()
    })
}

/// A client with confirms, the exchange that the plugin is attached to, and a queue that all its messages reach.
pub(crate) fn connect(broker: &Broker) -> anyhow::Result<Client> {
    let mut client = broker.connect()?;
    client.open(1)?;
    let mut arguments = FieldTable::new();
    let plugin = FieldValue::LongString(Bytes::from_static(b"harmful"));
    arguments.push(ShortString::new("x-transform")?, plugin);
    let declare = exchange::Declare {
        exchange: ExchangeName::new(EXCHANGE)?,
        kind: ShortString::new("fanout")?,
        durable: true,
        arguments,
        ..exchange::Declare::default()
    };
    expect_answer(client.call(1, &declare)?)?;
    expect_answer(client.call(1, &declaration()?)?)?;
    let bind = queue::Bind {
        queue: QueueName::new(QUEUE)?,
        exchange: ExchangeName::new(EXCHANGE)?,
        ..queue::Bind::default()
    };
    expect_answer(client.call(1, &bind)?)?;
    client.call(1, &confirm::Select { no_wait: false })?;
    Ok(client)
}

fn expect_answer(method: Method) -> anyhow::Result<()> {
    match method {
        Method::Channel(refusal) => bail!("{refusal:?}"),
        _ => Ok(()),
    }
}

fn declaration() -> anyhow::Result<queue::Declare> {
    Ok(queue::Declare {
        queue: QueueName::new(QUEUE)?,
        durable: true,
        ..queue::Declare::default()
    })
}

/// A publish that comes back if it is refused.
pub(crate) fn publish(key: &str) -> anyhow::Result<basic::Publish> {
    Ok(basic::Publish {
        exchange: ExchangeName::new(EXCHANGE)?,
        routing_key: RoutingKey::new(key)?,
        mandatory: true,
        ..basic::Publish::default()
    })
}

/// Sees so many publishes of a client that has made no others confirmed or refused. Returns the reasons of those that came back.
pub(crate) fn answers(client: &mut Client, messages: u64) -> anyhow::Result<Vec<String>> {
    let (mut answered, mut reasons) = (0, Vec::new());
    while answered < messages {
        match client.method(1)? {
            Method::Basic(basic::Method::Ack(ack)) => answered = ack.delivery_tag.0,
            Method::Basic(basic::Method::Nack(nack)) => answered = nack.delivery_tag.0,
            Method::Basic(method @ basic::Method::Return(_)) => {
                if let basic::Method::Return(returned) = &method {
                    reasons.push(returned.reply_text.to_string());
                }
                client.rest_of_message(1, method)?;
            }
            other => bail!("{other:?} where a confirm belongs"),
        }
    }
    Ok(reasons)
}

pub(crate) fn ready_count(client: &mut Client) -> anyhow::Result<u64> {
    match client.call(1, &declaration()?)? {
        Method::Queue(queue::Method::DeclareOk(queue)) => Ok(queue.message_count.into()),
        other => bail!("{other:?}"),
    }
}
