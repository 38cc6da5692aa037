//! Conversations as text. A script is its own transcript: what the clients say is said, and what the broker answers is
//! compared to the lines that say what it should. `UPDATE_EXPECT=1` writes down what it does answer.
//!
//! ```text
//! a1 > basic.publish routing_key=q mandatory "hello"     client a says this on its channel 1
//! a1 < basic.return reply_code=312 …                     and this is what it receives
//! a < nothing                                            it receives nothing more, on any channel
//! a < end                                                the broker has hung up
//! a hangs up                                             client a has hung up
//! a connects vhost=/ without=basic.nack                  client a introduces itself in a special way
//! the broker crashes                                     SIGKILL, and a new start on the same data
//! the operator puts policies/VHOST/p {"pattern":"^q",…}  a request to the management API; also `deletes PATH`
//! the operator < 201                                     the status, and the reason if it was refused
//! the operator gets queues/VHOST/q policy                and what is looked at of the answer
//! the operator < 200 policy="p"
//! ```
//!
//! Clients and channels are opened when they are first mentioned. A client answers `channel.close` and `connection.close`
//! as it should, and what comes next on that channel, or of that client, opens it again. Names that the broker makes up
//! are numbered: `amq.gen-$1`. At the end of a script, what the clients have received beside it is added to it.

mod actor;
mod elsewhere;
mod grammar;
mod names;
mod operator;
mod place;
mod text;
mod value;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use amphora_tests::Login;
use anyhow::{Context, bail, ensure};
use expect_test::Expect;

use actor::{Actor, Heard};
use names::Names;
use operator::Question;
use place::Place;

/// Plays the script, with nothing there before.
pub(crate) fn check(script: &Expect) -> anyhow::Result<()> {
    let mut stage = Stage {
        place: Place::find()?,
        actors: BTreeMap::new(),
        names: Names::default(),
        answered: None,
        played: String::new(),
    };
    let played = stage.play_all(script.data());
    if stage.place.is_own() {
        played?;
        script.assert_eq(&stage.played);
        return Ok(());
    }
    // The name of the test.
    let thread = std::thread::current();
    let difference = elsewhere::known_difference(thread.name().unwrap_or_default())?;
    let expected: Vec<&str> = script.data().trim().lines().map(str::trim).collect();
    let same = elsewhere::leveled(&expected.join("\n")) == elsewhere::leveled(stage.played.trim());
    match difference {
        Some(reason) if played.is_ok() && same && !reason.starts_with("Sometimes") => {
            bail!("it is the same there, but: {reason}")
        }
        Some(_) => Ok(()),
        None => {
            played?;
            ensure!(same, "it answers\n{}", stage.played);
            Ok(())
        }
    }
}

struct Stage {
    place: Place,
    actors: BTreeMap<char, Actor>,
    names: Names,
    /// What the operator has asked, and the answer that nobody has looked at.
    answered: Option<(Question, String)>,
    played: String,
}

impl Stage {
    fn play_all(&mut self, script: &str) -> anyhow::Result<()> {
        for line in script.trim().lines() {
            let line = line.trim();
            self.play(line).with_context(|| line.to_owned())?;
        }
        self.leftovers()
    }

    fn play(&mut self, line: &str) -> anyhow::Result<()> {
        if line.is_empty() || line.starts_with('#') {
            self.say(line);
            return Ok(());
        }
        if line == "the broker crashes" {
            self.say(line);
            self.actors.clear();
            return self.place.crash();
        }
        if let Some(said) = line.strip_prefix("the operator ") {
            return self.operate(line, said);
        }
        let (place, rest) = line.split_once(' ').context("who?")?;
        let name = place.chars().next().context("who?")?;
        match rest.split_once(' ').unwrap_or((rest, "")) {
            (">", said) => {
                self.settle_but(Some(name))?;
                self.say(line);
                let channel = place.get(1..).unwrap_or_default().parse()?;
                let said = self.names.actual(said);
                self.actor(name)?.say(channel, &said)
            }
            ("<", "nothing") => {
                self.settle_but(Some(name))?;
                self.expect_nothing(name)
            }
            ("<", _) => {
                let heard = self.actor(name)?.hear()?;
                self.note(name, &heard);
                Ok(())
            }
            ("connects", how) => {
                self.settle_but(None)?;
                self.say(line);
                let client = self.place.login(&login(how)?)?;
                self.actors.insert(name, Actor::new(client));
                Ok(())
            }
            ("hangs", "up") => {
                self.settle_but(None)?;
                self.say(line);
                self.actors.remove(&name).context("it is not there")?;
                Ok(())
            }
            _ => bail!("what?"),
        }
    }

    fn operate(&mut self, line: &str, said: &str) -> anyhow::Result<()> {
        let Some(expected) = said.strip_prefix('<') else {
            self.settle_but(None)?;
            self.say(line);
            let question = Question::parse(said)?;
            let answer = question.ask(&self.place)?;
            self.answered = Some((question, answer));
            return Ok(());
        };
        let (question, mut answer) = self.answered.take().context("nothing was asked")?;
        let expected = expected.trim();
        if answer != expected && question.is_look() && !self.place.is_own() {
            answer = question.ask_until(&self.place, expected)?;
        }
        self.say(&format!("the operator < {answer}"));
        Ok(())
    }

    fn actor(&mut self, name: char) -> anyhow::Result<&mut Actor> {
        if !self.actors.contains_key(&name) {
            self.actors
                .insert(name, Actor::new(self.place.login(&Login::default())?));
        }
        self.actors.get_mut(&name).context("it was just inserted")
    }

    /// Each but this one waits until the broker has done what it said.
    fn settle_but(&mut self, name: Option<char>) -> anyhow::Result<()> {
        for (other, actor) in &mut self.actors {
            if Some(*other) != name {
                actor.settle()?;
            }
        }
        Ok(())
    }

    /// Has the broker answer something else, and takes note of all that it said before.
    fn expect_nothing(&mut self, name: char) -> anyhow::Result<()> {
        let before = self.actor(name)?.barrier()?;
        if before.is_empty() {
            self.say(&format!("{name} < nothing"));
        }
        for heard in before {
            self.note(name, &heard);
        }
        Ok(())
    }

    /// What nobody asked for. Twice, because what one client's last words do to another is known only when they are
    /// answered.
    fn leftovers(&mut self) -> anyhow::Result<()> {
        if let Some((_, answer)) = self.answered.take() {
            self.say(&format!("the operator < {answer}"));
        }
        for _ in 0..2 {
            for name in self.actors.keys().copied().collect::<Vec<_>>() {
                for heard in self.actor(name)?.barrier()? {
                    self.note(name, &heard);
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, name: char, heard: &Heard) {
        let text = self.names.shown(&self.place.at_home(&heard.text));
        match heard.channel {
            0 => self.say(&format!("{name} < {text}")),
            channel => self.say(&format!("{name}{channel} < {text}")),
        }
        if heard.is_end {
            self.actors.remove(&name);
        }
    }

    fn say(&mut self, line: &str) {
        // A String takes anything.
        let _ = writeln!(self.played, "{line}");
    }
}

fn login(how: &str) -> anyhow::Result<Login> {
    let mut login = Login::default();
    for word in how.split_whitespace() {
        match word.split_once('=') {
            Some(("vhost", name)) => name.clone_into(&mut login.vhost),
            Some(("without", capability)) => {
                login.capabilities.retain(|known| *known != capability);
            }
            _ => bail!("{word}?"),
        }
    }
    Ok(login)
}
