import { UserError } from "../base/errors.js";
import { replyTo } from "../kube/dns/messages.js";
import type { Micros } from "../sim/time.js";
import { decodeDns, encodeDns } from "../wire/dns.js";
import { podAddresses } from "../kube/own-addresses.js";
import { formatIp } from "../wire/ip.js";
import { DnsProgram, dnsPartsOf } from "./dns-program.js";
import { parseSource } from "./endpoints.js";
import { dnsPods } from "./live-cluster.js";
import type { ClusterWorld, World } from "./world.js";

export interface DnsFrontOptions {
  /** A pod, a workload, a node or an address: whom queries seem to come from. The first pod when left out. */
  readonly from: string | undefined;
  readonly seed: number;
  /** The wall clock at the start, in seconds since 1970. */
  readonly startTime: number | undefined;
  /** Told of what the server logs, and of queries that have no certain answer. */
  report(line: string): void;
  /** The server has ended: `loop` found one. */
  ended(): void;
}

/** Who asks as far as the server can see: its own port stays. */
export interface DnsFrontClient {
  readonly port: number;
  readonly proto: "udp" | "tcp";
}

/** Extended DNS Error, option 15. RFC 8914. */
const EDE_OPTION = 15;

/** Reasons that were told once are not told again; so many are remembered. */
const maxReasons = 1_000;

/** A world's CoreDNS for clients outside of the simulation, which all stand where `from` is: bytes in, bytes out. */
export class DnsFront {
  readonly serverName: string;
  /** Whom queries come from: `default/client`, and its address. */
  readonly client: string;
  readonly address: string;
  readonly #program: DnsProgram;
  readonly #options: DnsFrontOptions;
  readonly #reported = new Set<string>();

  constructor(world: World, options: DnsFrontOptions) {
    if (world.kind !== "cluster")
      throw new UserError(
        "DNS_WORLD",
        `${world.name} has no Kubernetes objects: CoreDNS needs a cluster`,
      );
    this.#options = options;
    [this.client, this.address] = clientOf(world, options.from);
    const { seed, startTime } = options;
    this.#program = new DnsProgram(dnsPartsOf(world), {
      seed,
      startTime,
      log: (line) => options.report(line),
      ended: () => options.ended(),
    });
    this.serverName = this.#program.name;
  }

  /** The simulated instant. */
  get now(): Micros {
    return this.#program.now;
  }

  /** When something is due by itself; undefined when nothing is. */
  get nextAt(): Micros | undefined {
    return this.#program.nextAt;
  }

  /** Runs what is due up to an instant, and moves the clock to it. */
  advanceTo(instant: Micros): void {
    this.#program.advanceTo(instant);
  }

  /**
   * Answers one message, at once or when the clock has moved. What has no certain answer gets SERVFAIL, with the reason
   * for clients that take extended errors. `respond` is called once; no replies mean silence.
   */
  receive(
    bytes: Uint8Array,
    client: DnsFrontClient,
    respond: (replies: readonly Uint8Array[]) => void,
  ): void {
    const seen = { address: this.address, port: client.port, proto: client.proto };
    this.#program.receive(bytes, seen, ({ replies, unknown }) => {
      if (unknown === undefined) return respond(replies);
      this.#report(unknown);
      respond(unknownReply(bytes, unknown));
    });
  }

  #report(reason: string): void {
    if (this.#reported.has(reason) || this.#reported.size >= maxReasons) return;
    this.#reported.add(reason);
    this.#options.report(`UNKNOWN  ${reason}`);
  }
}

/** The first pod that is not a DNS server stands for a client that nobody named. */
function clientOf(world: ClusterWorld, from: string | undefined): readonly [string, string] {
  const { cluster, name } = world;
  if (from === undefined) {
    const servers = new Set(dnsPods(cluster));
    const pod = cluster.pods.find(
      (one) => !one.hostNetwork && podAddresses(one).length > 0 && !servers.has(one),
    );
    const [address] = pod === undefined ? [] : podAddresses(pod);
    return pod === undefined || address === undefined
      ? ["a client", "127.0.0.1"]
      : [pod.key, formatIp(address)];
  }
  const source = parseSource(from, cluster, name);
  const address = formatIp(source.address);
  return source.kind === "outside" ? [address, address] : [source.pod?.key ?? source.ns, address];
}

function unknownReply(bytes: Uint8Array, reason: string): readonly Uint8Array[] {
  const query = decodeDns(bytes);
  if (!query.ok) return [];
  const { edns } = query.value;
  const other = 0;
  const data = Uint8Array.from([0, other, ...new TextEncoder().encode(reason.slice(0, 200))]);
  const opt = { udpSize: 1232, version: 0, do: false, options: [{ code: EDE_OPTION, data }] };
  const reply = replyTo(query.value, {
    rcode: "SERVFAIL",
    ra: true,
    edns: edns === undefined ? undefined : opt,
  });
  return [encodeDns(reply)];
}
