import { Simulation } from "../core/simulation.js";
import type { DnsPluginEvent } from "../core/trace.js";
import { buildCluster, type Cluster } from "../kube/cluster.js";
import { parseCorefile } from "../kube/dns/corefile.js";
import { DnsServer } from "../kube/dns/dns-server.js";
import type { Files } from "../kube/dns/files.js";
import type { Client } from "../kube/dns/plugin.js";
import type { ResolverTable } from "../kube/dns/resolver-file.js";
import { WorldResolver } from "../kube/dns/world-resolver.js";
import { worldUpstream } from "../kube/dns/world-upstream.js";
import { type InputText, loadObjects } from "../kube/load.js";
import { recognise } from "../kube/recognise.js";
import type { Micros } from "../sim/time.js";
import { decodeDns } from "../wire/dns.js";
import { podAddresses } from "../kube/own-addresses.js";
import { formatIp } from "../wire/ip.js";
import { corefileOf, dnsPods, kubernetesView } from "./live-cluster.js";
import { nodeResolvConf, readResolvers } from "./resolvers.js";
import type { ClusterWorld } from "./world.js";

/** What a CoreDNS that stands alone is made of. */
export interface DnsProgramParts {
  readonly corefile: InputText;
  /** What the kubernetes plugin sees; without one it has nothing to watch. */
  readonly cluster?: Cluster | undefined;
  /** Files by path, as plugins name them: zone files, hosts, /etc/resolv.conf. */
  readonly files?: Files | undefined;
  /** Resolvers that `forward` may ask, and what they answer. */
  readonly resolvers?: ResolverTable | undefined;
  /** `kube-system/coredns-0`. */
  readonly name?: string | undefined;
  readonly address?: string | undefined;
}

export interface DnsProgramOptions {
  /** Everything random follows from it; 1 when left out. */
  readonly seed?: number | undefined;
  /** The wall clock at the start, in seconds since 1970. */
  readonly startTime?: number | undefined;
  /** Collect what each plugin did. It costs time. */
  readonly walk?: boolean | undefined;
  /** Hears what the server logs. */
  log?(line: string): void;
  /** The server has ended: `loop` found one. */
  ended?(): void;
}

/** What comes of one message. */
export interface DnsProgramReply {
  /** None when the query is dropped or not answered; several for a zone transfer. */
  readonly replies: readonly Uint8Array[];
  /** What is missing for a certain answer; no reply stands then. */
  readonly unknown: string | undefined;
  /** What each plugin did, in order; empty without `walk`. */
  readonly plugins: readonly DnsPluginEvent[];
}

/** CoreDNS with messages in and messages out, and nothing around it: no packets, no sockets, only simulated time. */
export class DnsProgram {
  readonly name: string;
  readonly #sim: Simulation;
  readonly #server: DnsServer;
  readonly #heard: DnsPluginEvent[] = [];
  readonly #walk: boolean;
  #waiting = 0;

  constructor(parts: DnsProgramParts, options: DnsProgramOptions = {}) {
    const { corefile, cluster, resolvers, address } = parts;
    const sim = new Simulation({ seed: options.seed ?? 1, pernet: [] });
    const outside = [...(resolvers?.resolvers ?? [])].map(
      ([at, data]) => new WorldResolver(at, data, sim.queue),
    );
    const own = new Set([address ?? "", cluster?.dns?.object.spec?.clusterIP ?? ""]);
    const isSelf = (server: string): boolean =>
      server.startsWith("127.") || (server !== "" && own.has(server));
    this.name = parts.name ?? "coredns";
    this.#sim = sim;
    this.#walk = options.walk ?? false;
    let ended = false;
    const log = (line: string): void => {
      if (!ended) options.log?.(line);
    };
    this.#server = new DnsServer({
      sim,
      name: this.name,
      corefile: parseCorefile(corefile.text, corefile.file, { files: parts.files }),
      files: parts.files,
      kubernetes: cluster === undefined ? undefined : kubernetesView(cluster),
      upstream: worldUpstream(sim, outside, isSelf, (message, client, respond, port) => {
        if (!ended) this.#server.ask(message, client, respond, port);
      }),
      localAddresses: address === undefined ? [] : [address],
      hostname: this.name.replace(/^.*\//, ""),
      startTime: options.startTime,
      log,
      fatal(line) {
        log(line);
        ended = true;
        options.ended?.();
      },
    });
    if (this.#walk)
      sim.trace = (event) => {
        if (event.kind === "dns-plugin" && this.#waiting > 0) this.#heard.push(event);
      };
    this.#server.start();
  }

  /** The simulated instant. */
  get now(): Micros {
    return this.#sim.queue.now;
  }

  /** When something is due by itself: a timeout, a prefetch; undefined when nothing is. */
  get nextAt(): Micros | undefined {
    return this.#sim.queue.nextAt;
  }

  /** Runs what is due up to an instant, and moves the clock to it. */
  advanceTo(instant: Micros): void {
    this.#sim.runUntilIdle(instant);
  }

  /** Answers one message to port 53, at once or when the clock has moved. `respond` is called once. */
  receive(bytes: Uint8Array, client: Client, respond: (reply: DnsProgramReply) => void): void {
    this.#waiting++;
    const begun = this.#heard.length;
    this.#server.receive(bytes, client, (replies, unknown) => {
      this.#waiting--;
      const plugins = this.#walk ? this.#walkOf(bytes, begun) : [];
      respond({ replies, unknown, plugins });
    });
  }

  /** The events of one query; when no other one waits, all are forgotten. */
  #walkOf(bytes: Uint8Array, begun: number): readonly DnsPluginEvent[] {
    const message = decodeDns(bytes);
    const [question] = message.ok ? message.value.questions : [];
    const asked = question === undefined ? "" : `${question.name} ${question.type}`;
    const found = this.#heard.slice(begun).filter((event) => event.asked === asked);
    if (this.#waiting === 0) this.#heard.length = 0;
    return found;
  }
}

/** The parts of a program from texts: Kubernetes objects, a file of resolvers, zone files; each is found by its content. */
export function dnsParts(
  corefile: InputText,
  texts: readonly InputText[] = [],
  files: Files = new Map(),
): DnsProgramParts {
  const known = texts.map((text) => ({ ...text, kind: recognise(text.text) }));
  const objects = known.filter(({ kind }) => kind === "kubernetes");
  const resolvers = readResolvers(known);
  const conf = resolvers.nodeResolvConf;
  return {
    corefile,
    cluster:
      objects.length === 0
        ? undefined
        : buildCluster(loadObjects(objects), { conflist: undefined }),
    files: conf === undefined ? files : new Map([["/etc/resolv.conf", conf], ...files]),
    resolvers,
  };
}

/** The CoreDNS of a world: as its first pod runs it, or from the Corefile alone. */
export function dnsPartsOf(world: ClusterWorld): DnsProgramParts {
  const [pod] = dnsPods(world.cluster);
  return {
    corefile: corefileOf(world),
    cluster: world.cluster,
    files: new Map([["/etc/resolv.conf", nodeResolvConf(world)]]),
    resolvers: world.resolvers,
    name: pod?.key,
    address: pod === undefined ? undefined : podAddresses(pod).map(formatIp)[0],
  };
}
