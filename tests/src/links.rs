//! The links between nodes, each of which can be cut, slowed down and healed.
//!
//! Every ordered pair of nodes has a proxy of its own: a node's `--peers` names the proxies instead of the peers. A
//! connection between nodes carries frames one way, from the node that dialled, so that each direction of a pair is a
//! link by itself and a cut may be one-way.
//!
//! ```text
//!   node 1 ── dials ──► link 1→2 ──► peer port of node 2
//!   node 2 ── dials ──► link 2→1 ──► peer port of node 1
//! ```
//!
//! A healthy link is not to be noticed. What tells a node of its peer's end is that connections close and that the next
//! dial is refused; so a link stops listening before it passes on that the peer closed, if nobody listens there any
//! more, and listens again when somebody does.
//!
//! A cut is silence, as of a path that drops every packet: what was on its way waits, as TCP would send it again and
//! again, and passes when the link is healed, unless its sender has given up by then.

mod pump;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::pump::pump;
use crate::ports::free_port;

/// How often a link looks whether a peer that was gone listens again.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What happens to what is sent over a link.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Flow {
    /// It passes.
    #[default]
    Open,
    /// It waits; nobody is told.
    Cut,
    /// Its connection is reset, and new ones are refused.
    Reset,
}

/// How a link is at the moment.
#[derive(Debug, Clone, Copy, Default)]
struct Condition {
    flow: Flow,
    /// How long each byte is on its way.
    delay: Duration,
    /// Bytes a second, shared by nobody: each connection has as much.
    rate: Option<u64>,
}

/// One link, as its tasks share it.
#[derive(Debug)]
struct Link {
    /// Where the sender dials.
    port: u16,
    /// Where the receiver listens.
    target: u16,
    condition: watch::Sender<Condition>,
    /// Nobody listens at the target any more, as far as is known.
    gone: watch::Sender<bool>,
    /// Whether the link itself listens.
    listening: watch::Sender<bool>,
}

/// The links of a cluster. Dropped, they are gone with everything that passes through them.
#[derive(Debug)]
pub struct Links {
    links: BTreeMap<(i32, i32), Arc<Link>>,
    _tasks: JoinSet<()>,
}

impl Links {
    /// A healthy link from each of these nodes, which listen for peers on these ports of 127.0.0.1 or will do so, to
    /// each other one. To be called within a runtime, which carries them.
    pub fn new(peer_ports: &BTreeMap<i32, u16>) -> Self {
        let mut tasks = JoinSet::new();
        let mut links = BTreeMap::new();
        for from in peer_ports.keys() {
            for (to, target) in peer_ports.iter().filter(|(to, _)| *to != from) {
                let link = Arc::new(Link::new(free_port(), *target));
                tasks.spawn(Arc::clone(&link).run());
                links.insert((*from, *to), link);
            }
        }
        Self { links, _tasks: tasks }
    }

    /// What `from` is told to be the address of `to`.
    pub fn address(&self, from: i32, to: i32) -> String {
        format!("127.0.0.1:{}", self.link(from, to).port)
    }

    /// From now on nothing passes, and nobody is told: connections stay, and new ones are accepted.
    pub fn cut(&self, from: i32, to: i32) {
        self.change(from, to, |condition| condition.flow = Flow::Cut);
    }

    /// From now on connections are reset and new ones refused.
    pub fn cut_reset(&self, from: i32, to: i32) {
        self.change(from, to, |condition| condition.flow = Flow::Reset);
    }

    /// Cuts a node off from all others, in both directions; see [`Links::cut`].
    pub fn cut_off(&self, node: i32) {
        for (from, to) in self.links.keys().filter(|(from, to)| node == *from || node == *to) {
            self.cut(*from, *to);
        }
    }

    /// Each byte takes this much longer.
    pub fn delay(&self, from: i32, to: i32, delay: Duration) {
        self.change(from, to, |condition| condition.delay = delay);
    }

    /// No more than so many bytes pass in a second; `None` for as many as come.
    pub fn rate(&self, from: i32, to: i32, bytes_per_second: Option<u64>) {
        self.change(from, to, |condition| condition.rate = bytes_per_second);
    }

    /// The link is as it was made: open, without delay, without a bound.
    pub fn heal(&self, from: i32, to: i32) {
        self.change(from, to, |condition| *condition = Condition::default());
    }

    /// All links are as they were made.
    pub fn heal_all(&self) {
        for (from, to) in self.links.keys() {
            self.heal(*from, *to);
        }
    }

    fn link(&self, from: i32, to: i32) -> &Link {
        self.links.get(&(from, to)).expect("a link between two nodes of the cluster")
    }

    fn change(&self, from: i32, to: i32, change: impl FnOnce(&mut Condition)) {
        self.link(from, to).condition.send_modify(change);
    }
}

impl Link {
    fn new(port: u16, target: u16) -> Self {
        let (gone, listening) = (watch::Sender::new(true), watch::Sender::new(false));
        Self { port, target, condition: watch::Sender::default(), gone, listening }
    }

    /// Listens whenever it should, and carries what comes.
    async fn run(self: Arc<Self>) {
        let mut connections = JoinSet::new();
        loop {
            self.until_wanted().await;
            if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await {
                self.listening.send_replace(true);
                self.serve(&listener, &mut connections).await;
            }
            // The listener is closed by now.
            self.listening.send_replace(false);
        }
    }

    /// Waits until there is a reason to listen: somebody does behind the link, or it is cut, which tells nobody whether
    /// somebody does.
    async fn until_wanted(&self) {
        let mut condition = self.condition.subscribe();
        loop {
            let flow = condition.borrow_and_update().flow;
            if flow == Flow::Cut || flow == Flow::Open && self.reaches_target().await {
                self.gone.send_replace(false);
                return;
            }
            tokio::select! {
                _ = condition.changed() => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
    }

    async fn reaches_target(&self) -> bool {
        self.dial().await.is_ok()
    }

    async fn dial(&self) -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.target)).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Accepts until there is a reason not to.
    async fn serve(self: &Arc<Self>, listener: &TcpListener, connections: &mut JoinSet<()>) {
        let (mut condition, mut gone) = (self.condition.subscribe(), self.gone.subscribe());
        loop {
            tokio::select! {
                accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                    let link = Arc::clone(self);
                    connections.spawn(async move { link.carry(stream).await });
                },
                Some(_) = connections.join_next() => {}
                _ = condition.wait_for(|condition| condition.flow == Flow::Reset) => return,
                _ = gone.wait_for(|gone| *gone) => return,
            }
        }
    }

    /// Carries one connection until either end is done with it.
    async fn carry(&self, mut dialler: TcpStream) {
        let mut condition = self.condition.subscribe();
        let _ = dialler.set_nodelay(true);
        // While the link is cut, not even the dial gets through.
        let flow = pump::until_not_cut(&mut condition).await;
        let Some(mut target) = self.dial().await.ok().filter(|_| flow == Flow::Open) else {
            return self.close(dialler, None).await;
        };
        {
            let (from_dialler, mut to_dialler) = dialler.split();
            let (from_target, mut to_target) = target.split();
            let back = pump(from_target, &mut to_dialler, self.condition.subscribe());
            let there = async {
                let carried = pump(from_dialler, &mut to_target, self.condition.subscribe()).await;
                // The dialler may end its half and still be answered.
                if carried.is_ok() && to_target.shutdown().await.is_ok() {
                    std::future::pending().await
                }
            };
            // When the target has ended its half, all is said.
            tokio::select! {
                () = there => {}
                _ = back => {}
                _ = condition.wait_for(|condition| condition.flow == Flow::Reset) => {}
            }
        }
        self.close(dialler, Some(target)).await;
    }

    /// Closes both ends in the way that the link's condition asks for, and in the order in which a peer's end is felt:
    /// whoever dials again finds out whether somebody is there.
    async fn close(&self, dialler: TcpStream, target: Option<TcpStream>) {
        let flow = pump::until_not_cut(&mut self.condition.subscribe()).await;
        if flow == Flow::Reset {
            for stream in target.iter().chain([&dialler]) {
                let _ = stream.set_zero_linger();
            }
        } else if !self.reaches_target().await {
            self.gone.send_replace(true);
            let _ = self.listening.subscribe().wait_for(|listening| !listening).await;
        }
    }
}

#[cfg(test)]
mod tests;
