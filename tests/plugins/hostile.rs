//! Plugins that do harm: their messages follow `on-error`, and nobody else notices.
//!
//! `cargo test -p amphora-tests --test plugins hostile -- --nocapture` shows a table: what became of the messages for each plugin, how many messages of
//! another client went through another queue meanwhile, and the broker's memory from beginning to end.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use amphora_protocol::wire::method::{Method, basic, confirm, exchange, queue};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::types::{ExchangeName, QueueName, RoutingKey, ShortString};
use amphora_tests::{Broker, Client, Settings, workspace};
use anyhow::{Context, bail, ensure};

use crate::beside::{Beside, Went};
use crate::built::component;
use crate::curve::Curve;

/// Messages to each hostile plugin.
const MESSAGES: u64 = 300;
/// How long the other client goes on at least.
const SPAN: Duration = Duration::from_millis(1500);
/// What the other client is left with at least, of what it has without any harm, in percent, and the longest that a burst of it may take. The
/// machine's processors may be busy with the harm, and with other tests.
const BESIDE_MIN_PERCENT: u64 = 15;
const LONGEST: Duration = Duration::from_millis(750);
/// How often a case is played at most until nobody else has noticed: the machine may be busy with something else for a moment, and harm shows each time.
const TRIES: u32 = 3;
/// How often a binding comes and goes until some thread's instance has known one that is gone.
const ROUNDS: u32 = 50;
/// Bytes that the broker may have more of at any time: six MiB are measured. A plugin that takes all the memory that it is given has that for a moment.
const RISE_MAX: u64 = 32 << 20;
const MEMORY_GIVEN: u64 = 64 << 20;

/// What becomes of what the plugin's own clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// All messages are routed.
    Routed,
    /// All messages are refused.
    Refused,
    /// Those whose keys end in 7 are refused, unless the plugin is in quarantine. What is routed arrives.
    Some,
    /// An instance that knew a binding that is gone is refused. One of another thread that was never told of it is right, but sooner or later each
    /// has known one. What is routed arrives.
    Wrong,
    /// The exchange cannot be declared.
    Undeclared,
    /// It cannot be bound.
    Unbound,
}

struct Case {
    harm: &'static str,
    fate: Fate,
    /// More lines for the plugin's section.
    settings: &'static str,
}

const fn case(harm: &'static str, fate: Fate, settings: &'static str) -> Case {
    Case {
        harm,
        fate,
        settings,
    }
}

const GRANTS: &str = "grants = [\"config\", \"log\"]";
/// A flood, long answers and a slow start are slow on a slow machine, and it is not that that is tested.
const PATIENT: &str = "grants = [\"config\", \"log\"]\ndeadline = \"5s\"";

const CASES: [Case; 18] = [
    case("none", Fate::Routed, GRANTS),
    case("loop", Fate::Refused, GRANTS),
    case("memory", Fate::Refused, GRANTS),
    case("stack", Fate::Refused, GRANTS),
    case("panic", Fate::Refused, GRANTS),
    case("panic at some", Fate::Some, GRANTS),
    case("panic in describe", Fate::Undeclared, GRANTS),
    case("panic in create", Fate::Undeclared, GRANTS),
    case("panic in rebind", Fate::Unbound, GRANTS),
    case("panic in delete", Fate::Routed, GRANTS),
    case("wrong ids", Fate::Wrong, GRANTS),
    case("enormous answer", Fate::Refused, GRANTS),
    case("repeated ids", Fate::Routed, PATIENT),
    case("log", Fate::Routed, PATIENT),
    case("slow start", Fate::Routed, PATIENT),
    case("never starts", Fate::Undeclared, GRANTS),
    case(
        "ungranted import",
        Fate::Undeclared,
        "grants = [\"config\"]",
    ),
    case("no component", Fate::Undeclared, GRANTS),
];

/// What a case came to.
struct Row {
    routed: u64,
    refused: u64,
    /// The other client.
    beside: Went,
    curve: Curve,
}

#[test]
fn no_harm_is_anybody_elses() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("hostile.wasm");
    let hostile = component(&workspace().join("tests/plugins/hostile"))?;
    println!(
        "{:<18} {:>7} {:>8} {:>13} {:>8} {:>10}  memory in MiB, from beginning to end",
        "harm", "routed", "refused", "beside, msg/s", "of calm", "at most"
    );
    let mut calm = None;
    for case in &CASES {
        let bytes = if case.harm == "no component" {
            b"this is no component".as_slice()
        } else {
            &hostile
        };
        let mut tries = 1;
        loop {
            std::fs::write(&path, bytes)?;
            let row = play(case, &path).with_context(|| case.harm)?;
            let judged = judge(case, &row, *calm.get_or_insert(row.beside.rate));
            if judged.is_ok() || tries == TRIES {
                judged?;
                break;
            }
            println!("once more: {judged:?}");
            std::fs::write(&path, &hostile)?;
            calm = Some(play(&CASES[0], &path)?.beside.rate);
            tries += 1;
        }
    }
    Ok(())
}

/// Shows how it went, and says what was somebody else's harm.
#[expect(clippy::print_stdout, reason = "shown when somebody measures")]
fn judge(case: &Case, row: &Row, calm: u64) -> anyhow::Result<()> {
    let Went { rate, longest } = row.beside;
    let percent = rate * 100 / calm.max(1);
    println!(
        "{:<18} {:>7} {:>8} {rate:>13} {percent:>7}% {:>7} ms  {}",
        case.harm,
        row.routed,
        row.refused,
        longest.as_millis(),
        row.curve
    );
    ensure!(
        longest <= LONGEST,
        "{}: the other client waited {longest:?}",
        case.harm
    );
    ensure!(
        percent >= BESIDE_MIN_PERCENT,
        "{}: the other client has {percent} % of what it had",
        case.harm
    );
    let (risen, grown) = (row.curve.risen(), row.curve.grown());
    let given = match case.harm {
        "memory" => MEMORY_GIVEN,
        // What comes out of that is copied once.
        "repeated ids" => 2 * MEMORY_GIVEN,
        _ => 0,
    };
    // An instance that does not fail in the end keeps the memory that its answers took.
    let kept = if case.fate == Fate::Routed { given } else { 0 };
    ensure!(
        risen <= RISE_MAX + given && grown <= RISE_MAX + kept,
        "{}: {risen} bytes more than before, and {grown} at the end",
        case.harm
    );
    Ok(())
}

fn play(case: &Case, component: &Path) -> anyhow::Result<Row> {
    let mut config = String::new();
    writeln!(
        config,
        "[[plugin]]\nname = \"hostile\"\npath = \"{}\"\nexchange-type = \"x-hostile\"\n{}\n[plugin.config]\nharm = {:?}",
        component.display(),
        case.settings,
        case.harm
    )?;
    let broker = Broker::with(Settings {
        config,
        ..Settings::default()
    })?;
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
            harmed
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
    let (routed, refused) = harmed?;
    Ok(Row {
        routed,
        refused,
        beside: beside?,
        curve,
    })
}

/// What the plugin's own clients do. Returns how many messages were routed, and how many were refused.
fn harm(broker: &Broker, case: &Case) -> anyhow::Result<(u64, u64)> {
    let mut victim = broker.connect()?;
    victim.open(1)?;
    if !answered(&mut victim, &declaration()?)? {
        ensure!(case.fate == Fate::Undeclared, "the exchange is refused");
        return Ok((0, 0));
    }
    ensure!(case.fate != Fate::Undeclared, "the exchange is declared");
    victim.call(1, &queue_of("victim")?)?;
    for key in ["stays", "goes"] {
        if !answered(&mut victim, &bind(key)?)? {
            ensure!(case.fate == Fate::Unbound, "the binding is refused");
            return Ok((0, 0));
        }
    }
    ensure!(case.fate != Fate::Unbound, "it is bound");
    victim.call(1, &confirm::Select { no_wait: false })?;
    // An instance learns of both bindings, and then of one that is gone.
    let (first_routed, first_refused) = publish(&mut victim, 1)?;
    victim.call(1, &unbind("goes")?)?;
    let (routed, refused) = publish(&mut victim, MESSAGES)?;
    let (mut routed, mut refused) = (routed + first_routed, refused + first_refused);
    let mut rounds = 0;
    while case.fate == Fate::Wrong && refused == 0 {
        ensure!(rounds < ROUNDS, "no wrong id is ever noticed");
        rounds += 1;
        victim.call(1, &bind("goes")?)?;
        let (learnt, _) = publish(&mut victim, 1)?;
        victim.call(1, &unbind("goes")?)?;
        let after = publish(&mut victim, 1)?;
        routed += learnt + after.0;
        refused += 1 - learnt + after.1;
    }
    match case.fate {
        Fate::Routed => ensure!(refused == 0, "{refused} are refused"),
        Fate::Refused => ensure!(routed == 0, "{routed} are routed"),
        Fate::Some => ensure!(
            routed > 0 && refused >= MESSAGES / 10,
            "{routed} and {refused}"
        ),
        Fate::Wrong => ensure!(first_refused == 0 && refused > 0, "{routed} and {refused}"),
        Fate::Undeclared | Fate::Unbound => {}
    }
    let ready = ready_count(&mut victim, "victim")?;
    ensure!(ready == routed, "{ready} messages arrived of {routed}");
    victim.call(
        1,
        &exchange::Delete {
            exchange: ExchangeName::new("hostile")?,
            ..exchange::Delete::default()
        },
    )?;
    // An instance is told that an exchange is gone when it is called for another one.
    answered(&mut victim, &declaration()?)?;
    victim.call(1, &bind("stays")?)?;
    let (again_routed, again_refused) = publish(&mut victim, 2)?;
    Ok((routed + again_routed, refused + again_refused))
}

/// Publishes to the hostile plugin, and sees each publish answered once.
fn publish(client: &mut Client, messages: u64) -> anyhow::Result<(u64, u64)> {
    let mut bytes = Vec::new();
    for number in 0..messages {
        let publish = basic::Publish {
            exchange: ExchangeName::new("hostile")?,
            routing_key: RoutingKey::new(number.to_string())?,
            ..basic::Publish::default()
        };
        client.write_publish(
            1,
            &publish,
            &BasicProperties::default(),
            b"harm me",
            &mut bytes,
        );
    }
    client.write(&bytes)?;
    let (mut routed, mut refused) = (0, 0);
    let first = NEXT_TAG.get();
    while routed + refused < messages {
        let (tag, multiple, accepted) = match client.method(1)? {
            Method::Basic(basic::Method::Ack(ack)) => (ack.delivery_tag.0, ack.multiple, true),
            Method::Basic(basic::Method::Nack(nack)) => (nack.delivery_tag.0, nack.multiple, false),
            other => bail!("{other:?} where a confirm belongs"),
        };
        let next = first + routed + refused;
        ensure!(
            tag == next || multiple && tag > next,
            "{tag} where {next} belongs"
        );
        let answered = tag - next + 1;
        if accepted {
            routed += answered;
        } else {
            refused += answered;
        }
    }
    NEXT_TAG.set(first + messages);
    Ok((routed, refused))
}

thread_local! {
    /// The number of the next publish on the channel: each case has a thread and a channel of its own.
    static NEXT_TAG: std::cell::Cell<u64> = const { std::cell::Cell::new(1) };
}

/// Whether the broker does it, or raises a channel exception.
fn answered(
    client: &mut Client,
    method: &impl amphora_protocol::wire::method::AnyMethod,
) -> anyhow::Result<bool> {
    match client.call(1, method)? {
        Method::Channel(_) | Method::Connection(_) => Ok(false),
        _ => Ok(true),
    }
}

fn declaration() -> anyhow::Result<exchange::Declare> {
    Ok(exchange::Declare {
        exchange: ExchangeName::new("hostile")?,
        kind: ShortString::new("x-hostile")?,
        ..exchange::Declare::default()
    })
}

fn bind(key: &str) -> anyhow::Result<queue::Bind> {
    Ok(queue::Bind {
        queue: QueueName::new("victim")?,
        exchange: ExchangeName::new("hostile")?,
        routing_key: RoutingKey::new(key)?,
        ..queue::Bind::default()
    })
}

fn unbind(key: &str) -> anyhow::Result<queue::Unbind> {
    Ok(queue::Unbind {
        queue: QueueName::new("victim")?,
        exchange: ExchangeName::new("hostile")?,
        routing_key: RoutingKey::new(key)?,
        ..queue::Unbind::default()
    })
}

fn queue_of(name: &str) -> anyhow::Result<queue::Declare> {
    Ok(queue::Declare {
        queue: QueueName::new(name)?,
        ..queue::Declare::default()
    })
}

fn ready_count(client: &mut Client, name: &str) -> anyhow::Result<u64> {
    match client.call(1, &queue_of(name)?)? {
        Method::Queue(queue::Method::DeclareOk(queue)) => Ok(queue.message_count.into()),
        other => bail!("{other:?}"),
    }
}
