//! A network of its own for a cluster: each node in a network namespace, with an address, and a switch between them.
//!
//! ```text
//!   clients ── host's port, 10.213.N.254 ──┬── node 1's port, 10.213.N.1
//!                                          ├── node 2's port, 10.213.N.2
//!                          switch ─────────┴── node 3's port, 10.213.N.3
//! ```
//!
//! [`Links`](crate::links::Links) are proxies: they hold back bytes between nodes, while TCP is well on both sides of them.
//! Here packets are lost, and the kernel's own TCP deals with it: it sends again after waits that double, acknowledgements
//! get lost as well, a connection attempt is not even refused; and a node whose cable is pulled is away for clients, too.
//!
//! It takes root, Linux, `ip` (iproute2) and `iptables`. Namespaces that a killed test leaves behind are named `trilog-…`;
//! `ip netns del` removes them.

use std::process::Command;

/// What the addresses of all such networks begin with. A byte for the network and one for the node follow.
const PREFIX: &str = "10.213";

/// The last byte of the host's address in a network, and what its port is called on the switch.
const HOST: i32 = 254;

/// How many networks there may be at a time on a machine.
const NETWORKS: u32 = 250;

/// A network. Dropped, it is gone, so whoever lives in it has to end before.
#[derive(Debug)]
pub struct Network {
    number: u32,
    nodes: Vec<i32>,
}

impl Network {
    /// Lays a network for these nodes, all of which reach each other and the host.
    ///
    /// # Errors
    /// What this machine does not allow.
    pub fn lay(nodes: &[i32]) -> Result<Self, String> {
        run("iptables --version")?;
        // Whoever makes the switch's namespace has its number.
        let start = std::process::id() % NETWORKS;
        let free = |number: &u32| run(&format!("ip netns add trilog-{number}-switch"));
        let mut taken = String::new();
        for number in (start..NETWORKS).chain(0..start) {
            match free(&number) {
                Ok(()) => {
                    let network = Self { number, nodes: nodes.to_vec() };
                    network.connect()?;
                    return Ok(network);
                }
                Err(why) if why.contains("File exists") => taken = why,
                Err(why) => return Err(why),
            }
        }
        Err(taken)
    }

    fn connect(&self) -> Result<(), String> {
        let (number, switch) = (self.number, self.switch());
        run(&format!("ip -n {switch} link add bridge type bridge"))?;
        run(&format!("ip -n {switch} link set bridge up"))?;
        run(&format!("ip link add trilog-{number} type veth peer name port-{HOST} netns {switch}"))?;
        run(&format!("ip -n {switch} link set port-{HOST} master bridge up"))?;
        run(&format!("ip address add {}/24 dev trilog-{number}", self.address(HOST)))?;
        run(&format!("ip link set trilog-{number} up"))?;
        for node in &self.nodes {
            let (place, address) = (self.place(*node), self.address(*node));
            run(&format!("ip netns add {place}"))?;
            run(&format!("ip -n {place} link set lo up"))?;
            run(&format!("ip -n {place} link add cable type veth peer name port-{node} netns {switch}"))?;
            run(&format!("ip -n {switch} link set port-{node} master bridge up"))?;
            run(&format!("ip -n {place} address add {address}/24 dev cable"))?;
            run(&format!("ip -n {place} link set cable up"))?;
        }
        Ok(())
    }

    fn switch(&self) -> String {
        format!("trilog-{}-switch", self.number)
    }

    /// The namespace of a node.
    fn place(&self, node: i32) -> String {
        format!("trilog-{}-{node}", self.number)
    }

    /// The address of a node.
    pub fn address(&self, node: i32) -> String {
        format!("{PREFIX}.{}.{node}", self.number)
    }

    /// What stands in front of a command so that it is run where the node is. It becomes that command, with its process id.
    pub fn launcher(&self, node: i32) -> Vec<String> {
        ["ip", "netns", "exec", &self.place(node)].map(str::to_owned).to_vec()
    }

    /// Packets from one node to another are dropped.
    pub fn drop_packets(&self, from: i32, to: i32) {
        self.filter(to, &format!("-A INPUT -s {} -j DROP", self.address(from)));
    }

    /// They pass again, as they do if they were never dropped.
    pub fn pass_packets(&self, from: i32, to: i32) {
        self.filter(to, &format!("-D INPUT -s {} -j DROP", self.address(from)));
    }

    /// So many of a hundred packets to a node are dropped, whoever sent them.
    pub fn lose(&self, node: i32, percent: u8) {
        self.filter(node, &format!("-A INPUT {}", loss(percent)));
    }

    /// They are dropped no more.
    pub fn lose_no_more(&self, node: i32, percent: u8) {
        self.filter(node, &format!("-D INPUT {}", loss(percent)));
    }

    fn filter(&self, node: i32, rule: &str) {
        must(&format!("ip netns exec {} iptables -w {rule}", self.place(node)));
    }

    /// Pulls a node's cable: neither nodes nor clients reach it.
    pub fn unplug(&self, node: i32) {
        must(&format!("ip -n {} link set port-{node} down", self.switch()));
    }

    /// Plugs the cable in again.
    pub fn plug(&self, node: i32) {
        must(&format!("ip -n {} link set port-{node} up", self.switch()));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // With its namespaces go their ports and cables. What was never made cannot be removed, and that is well.
        let _ = run(&format!("ip link del trilog-{}", self.number));
        let places = self.nodes.iter().map(|node| self.place(*node));
        for place in places.chain([self.switch()]) {
            let _ = run(&format!("ip netns del {place}"));
        }
    }
}

/// A match for so many of a hundred packets.
fn loss(percent: u8) -> String {
    format!("-m statistic --mode random --probability {:.2} -j DROP", f64::from(percent) / 100.0)
}

/// Runs a command of words without spaces.
fn run(command: &str) -> Result<(), String> {
    let mut words = command.split(' ');
    let program = words.next().unwrap_or_default();
    let output = Command::new(program).args(words).output().map_err(|error| format!("{program}: {error}"))?;
    let said = || format!("{command}: {}", String::from_utf8_lossy(&output.stderr).trim());
    output.status.success().then_some(()).ok_or_else(said)
}

/// Runs a command that a network which was laid allows.
fn must(command: &str) {
    run(command).expect("a network can be changed by who has laid it");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::complete::not_tested;

    fn reaches(network: &Network, from: i32, to: i32) -> bool {
        let connect = format!("exec 3<>/dev/tcp/{}/9", network.address(to));
        let launcher = network.launcher(from);
        let mut command = Command::new("timeout");
        // Nobody listens there: who is reached refuses at once, and from where nobody answers, the time runs out.
        command.arg("0.3").args(launcher).args(["bash", "-c", &connect]);
        command.output().unwrap().status.code() != Some(124)
    }

    #[test]
    fn packets_pass_or_do_not() {
        let network = match Network::lay(&[1, 2]) {
            Ok(network) => network,
            Err(why) => {
                return not_tested("networks of packets that are lost", &why);
            }
        };
        assert!(reaches(&network, 1, 2) && reaches(&network, 2, 1));
        network.drop_packets(1, 2);
        // Not the other way either: what answers is dropped. That is what a one-way cut is to TCP.
        assert!(!reaches(&network, 1, 2) && !reaches(&network, 2, 1));
        network.pass_packets(1, 2);
        network.unplug(2);
        assert!(!reaches(&network, 1, 2));
        network.plug(2);
        network.lose(2, 100);
        assert!(!reaches(&network, 1, 2));
        network.lose_no_more(2, 100);
        assert!(reaches(&network, 1, 2));
    }
}
