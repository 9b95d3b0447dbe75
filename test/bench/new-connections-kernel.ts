import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";

/** A way of the real kernel to hold iptables' rules. */
export type KernelVariant = "legacy" | "nft";

const sender = fileURLToPath(new URL("new-connections-sender.py", import.meta.url));
const NODE_MAC = "02:00:00:00:01:01";

/** Why the real kernel cannot be measured here; undefined when it can. */
export function whyNoKernel(): string | undefined {
  if (process.getuid?.() !== 0) return "not root";
  for (const program of [
    "ip",
    "python3",
    "conntrack",
    "iptables-legacy-restore",
    "iptables-nft-restore",
  ])
    if (spawnSync("which", [program]).status !== 0) return `${program} is not installed`;
  const probe = spawnSync("ip", ["netns", "add", name("probe")]);
  spawnSync("ip", ["netns", "del", name("probe")]);
  return probe.status === 0 ? undefined : "network namespaces cannot be made";
}

function name(which: string): string {
  return `hopwise-bench-${process.pid}-${which}`;
}

/** The service node of many-services.ts in the running kernel: client - node - server, with kube-proxy's rules on the node. */
export class KernelServiceNode {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #answers: Interface;
  #elapsed = 0;

  constructor(variant: KernelVariant, rules: string, services: number) {
    try {
      this.#build();
      this.#run([`iptables-${variant}-restore`], rules);
    } catch (error) {
      removeNamespaces();
      throw error;
    }
    const argv = [sender, name("client"), name("server"), NODE_MAC, String(services)];
    this.#child = spawn("python3", argv, { stdio: "pipe" });
    this.#child.stderr.on("data", (data: Buffer) => process.stderr.write(data));
    this.#answers = createInterface(this.#child.stdout);
  }

  /** Milliseconds that connections took so far, without what is done between them. */
  readonly now = (): number => this.#elapsed;

  /** Opens so many connections, waits until all came out at the server, and empties the table. */
  async connect(times: number): Promise<void> {
    const answer = new Promise<string>((done) => this.#answers.once("line", done));
    this.#child.stdin.write(`${times}\n`);
    const [wall = 0, cpu = 0, arrived = 0] = (await answer).split(" ").map(Number);
    this.#elapsed += process.env["HOPWISE_BENCH_CLOCK"] === "cpu" ? cpu : wall;
    this.#run(["conntrack", "-F"]);
    if (arrived < times * 0.99) throw new Error(`${times - arrived} of ${times} were lost`);
  }

  close(): void {
    this.#child.stdin.end();
    this.#child.kill();
    removeNamespaces();
  }

  #build(): void {
    const [client, node, server] = ["client", "node", "server"].map(name);
    ip(`netns add ${client}`);
    ip(`netns add ${node}`);
    ip(`netns add ${server}`);
    ip(`link add eth0 netns ${client} type veth peer name eth1 netns ${node} address ${NODE_MAC}`);
    ip(
      `link add eth0 netns ${node} type veth peer name eth0 netns ${server} address 02:00:00:00:02:02`,
    );
    ip(`-n ${node} addr add 10.0.1.1/24 dev eth1`);
    ip(`-n ${node} addr add 10.0.2.1/24 dev eth0`);
    ip(`-n ${server} addr add 10.0.2.2/24 dev eth0`);
    ip(`-n ${client} link set eth0 up`);
    ip(`-n ${node} link set eth1 up`);
    ip(`-n ${node} link set eth0 up`);
    ip(`-n ${server} link set eth0 up`);
    ip(`-n ${node} route add default via 10.0.2.2`);
    ip(`-n ${node} neigh add 10.0.2.2 lladdr 02:00:00:00:02:02 dev eth0`);
    for (const setting of ["ip_forward=1", "conf.all.rp_filter=0", "conf.eth1.rp_filter=0"])
      this.#run(["sysctl", "-qw", `net.ipv4.${setting}`]);
  }

  /** Runs a program on the node. */
  #run(argv: readonly string[], input = ""): void {
    const result = spawnSync("ip", ["netns", "exec", name("node"), ...argv], {
      input,
      timeout: PATIENCE,
    });
    if (result.status !== 0)
      throw new Error(`${argv.join(" ")}: ${result.error?.message ?? result.stderr.toString()}`);
  }
}

/** nft takes minutes for 240,000 rules. In milliseconds. */
const PATIENCE = 600_000;

function removeNamespaces(): void {
  for (const which of ["client", "node", "server"]) spawnSync("ip", ["netns", "del", name(which)]);
}

function ip(words: string): void {
  const result = spawnSync("ip", words.split(" "));
  if (result.status !== 0) throw new Error(`ip ${words}: ${result.stderr.toString()}`);
}
