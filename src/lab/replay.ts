import { counted } from "../base/counted.js";
import { netifReceiveSkb, packetTypeFor } from "../core/device.js";
import { drop } from "../core/drop.js";
import type { NetworkNamespace } from "../core/namespace.js";
import type { ReplayedPacket, ReplayResult } from "../core/replay-recording.js";
import { newSkb } from "../core/simulation.js";
import type { TraceEvent } from "../core/trace.js";
import { ipLocalOut } from "../inet/ip-local-out.js";
import { inetAddrType, isRoute, routeOutput } from "../inet/route.js";
import { attachRoute } from "../inet/route-entry.js";
import { rulesetOf } from "../netfilter/iptables/apply.js";
import { later, type Micros, microseconds, seconds } from "../sim/time.js";
import type { Capture, CapturedPacket } from "../wire/capture.js";
import { ETH_P_IPV6 } from "../wire/ethernet.js";
import type { Frame } from "../wire/frame.js";
import { TCP_ACK, TCP_SYN } from "../wire/tcp.js";
import { answerFrame } from "./replay-answer.js";
import { directionOf } from "./replay-direction.js";
import { endsIn } from "./replay-ends.js";
import { conversationOf, flowOf } from "./replay-flow.js";
import { capturedFrame, type CapturedFrame } from "./replay-frame.js";
import { Macs } from "./replay-macs.js";
import { parsePoint, Points } from "./replay-points.js";
import { silencePrograms } from "./replay-programs.js";
import { segmentsOf } from "./replay-segments.js";
import { recordingOf, Run } from "./replay-run.js";
import { comparison, type Tap, Taps } from "./replay-taps.js";
import { buildReplayWorld, type ReplayWorld } from "./replay-world.js";
import type { World } from "./world.js";

/** How a capture is replayed. */
export interface ReplayRequest {
  /** `NODE:DEVICE`, or `INTERFACE=NODE:DEVICE` for one interface of the capture. */
  readonly at: readonly string[];
  /** Every packet, not only the first of each flow. */
  readonly all: boolean;
  readonly seed: number;
}

/** How long the world is given to bring a packet to its end: as long as ARP tries. */
const PATIENCE: Micros = seconds(10);

/**
 * A capture that goes through a world, packet by packet, each at its time. Programs are silent: their answers are in
 * the capture, and are sent from wherever the question arrived. Conntrack and everything else lives on.
 *
 *   captured ── did the world make it already? ── yes ──▶ compared
 *               └─ an answer to what arrived?   ── yes ──▶ sent from there, compared when it comes back
 *               └─ received by the device?      ── yes ──▶ put in there
 *               └─ none of these                        ──▶ unknown, with its reason
 */
export class Replay {
  /** Things to know about the whole replay; complete when all packets were. */
  readonly notes: string[] = [];
  readonly #capture: Capture;
  readonly #request: ReplayRequest;
  readonly #world: ReplayWorld;
  readonly #worldName: string;
  readonly #points: Points;
  readonly #taps = new Taps();
  readonly #macs: Macs;
  readonly #start: Micros;
  readonly #conversations = new Set<string>();
  /** Conversations whose beginning did not go through the world, and why. */
  readonly #midway = new Map<string, string>();
  /** By packet of the world. */
  readonly #runs = new Map<number, Run>();
  #current: Run | undefined;
  /** In the order of time: what is to be handed out. */
  readonly #waiting: (ReplayedPacket | Run)[] = [];
  #replacedMacs = 0;
  #filled = 0;
  #passedOver = 0;

  /** Throws a UserError for a place that the world does not have. */
  constructor(world: World, capture: Capture, request: ReplayRequest) {
    const rules = request.at.map(parsePoint);
    this.#capture = capture;
    this.#request = request;
    this.#worldName = world.name;
    this.#world = buildReplayWorld(world, request.seed, endsIn(capture, rules));
    const { sim } = this.#world;
    this.#points = new Points(sim, capture, rules);
    this.#macs = new Macs(sim);
    this.#start = sim.queue.now;
    for (const point of this.#points.all()) this.#taps.at(point);
    silencePrograms(sim, (ns) => this.#world.assumesPrograms(ns));
    sim.reseed(request.seed);
  }

  /** Replays the capture. Each packet comes out when it has ended, in the order of time; later ones of a flow are left out unless all were asked for. */
  *packets(): Generator<ReplayedPacket, void> {
    const { sim } = this.#world;
    sim.trace = (event) => this.#listen(event);
    for (const packet of inOrder(this.#capture.packets)) {
      const due = later(this.#start, microseconds(Math.max(0, packet.time / 1000)));
      sim.runUntilIdle(due > sim.queue.now ? due : sim.queue.now);
      yield* this.#ended(sim.queue.now);
      const next = this.#take(packet);
      if (next !== undefined) this.#waiting.push(next);
    }
    sim.runUntilIdle(later(sim.queue.now, PATIENCE));
    yield* this.#ended(undefined);
    sim.trace = undefined;
    this.#tell();
  }

  /** What came to its end, from the front; everything without a time. */
  *#ended(now: Micros | undefined): Generator<ReplayedPacket, void> {
    let count = 0;
    for (const one of this.#waiting) {
      const open = one instanceof Run && one.alive > 0;
      if (open && now !== undefined && later(one.started, PATIENCE) > now) break;
      count++;
      yield one instanceof Run ? this.#finish(one) : one;
    }
    this.#waiting.splice(0, count);
  }

  #take(packet: CapturedPacket): ReplayedPacket | Run | undefined {
    const read = capturedFrame(this.#capture, packet);
    const captured = read.ok ? read.value : undefined;
    const ifindex = captured?.link.ifindex;
    const point = this.#points.at(packet.interface, ifindex);
    const base = {
      number: packet.number,
      time: packet.time,
      point: point === undefined ? undefined : { ns: point.ns, dev: point.dev },
      frame: captured?.frame.ok === true ? captured.frame.value : undefined,
      bytes: captured?.link.bytes ?? new Uint8Array(0),
    };
    const result = (value: ReplayResult): ReplayedPacket => Object.assign(base, { result: value });
    const unknown = (reason: string, key: string): ReplayedPacket | undefined =>
      this.#isNews(key) ? result({ kind: "unknown", reason }) : undefined;
    if (!read.ok) return unknown(read.reason, read.reason);
    const { frame } = read.value;
    const where = `${packet.interface} ${ifindex ?? ""}`;
    if (point === undefined)
      return unknown(this.#points.missing(packet.interface, ifindex), `nowhere ${where}`);
    if (!frame.ok) return unknown(frame.reason, frame.reason);
    const tap = this.#taps.at(point);
    const otherMacs = !read.value.link.hasMacs || !this.#macs.knows(frame.value);
    const conversation = conversationOf(flowOf(frame.value));
    const sightings = tap.take(segmentsOf(frame.value, tap.point.device.mtu));
    const [first] = sightings;
    if (first !== undefined) {
      this.#conversations.add(conversation);
      const compared = sightings.map((one) =>
        comparison(one, { otherMacs, whole: read.value.whole }),
      );
      return result({ kind: "seen", by: first.sighting.by, compared });
    }
    const known = this.#conversations.has(conversation);
    if (!this.#isNews(conversation)) return undefined;
    if (!known && isMidway(frame.value)) this.#midway.set(conversation, "began before the capture");
    const sent = this.#send({ packet, captured: read.value, frame: frame.value, tap, otherMacs });
    if (sent === undefined) return undefined;
    if (typeof sent === "string" && !known) this.#midway.set(conversation, "began elsewhere");
    return typeof sent === "string"
      ? result({ kind: "unknown", reason: sent })
      : sent instanceof Run
        ? sent
        : result(sent);
  }

  /** Whether a packet is looked at: all are asked for, or none of its kind was. */
  #isNews(key: string): boolean {
    const known = this.#conversations.has(key);
    this.#conversations.add(key);
    return this.#request.all || !known;
  }

  /** Decides what a frame is to the world, and lets it go; a text says why it cannot, undefined passes it over. */
  #send(given: Given): Run | ReplayResult | string | undefined {
    const { packet, captured, frame, tap } = given;
    const flow = flowOf(frame);
    const asked = tap.received.get(flow.reverse);
    if (asked?.answerer !== undefined) return this.#answer(given, asked.answerer);
    const { netns } = tap.point;
    if (frame.link.etherType === ETH_P_IPV6 && !netns.protocols.has(ETH_P_IPV6))
      return "IPv6 is not modelled";
    const direction =
      packet.direction ??
      captured.link.direction ??
      (asked === undefined ? directionOf(frame, tap.point, !given.otherMacs) : "out");
    const { ns, dev } = tap.point;
    if (direction === "in") return this.#receive(given);
    if (frame.network?.kind === "arp") {
      this.#passedOver++;
      return undefined;
    }
    if (direction === "out") {
      if (asked !== undefined) return { kind: "contradicted", by: asked.by };
      return isOwn(frame, netns)
        ? this.#own(given)
        : `it went out of ${dev} of ${ns}, and what came in for it was not captured`;
    }
    return `nothing tells whether it came in by ${dev} of ${ns} or went out of it`;
  }

  /** The frame comes in by the device. */
  #receive(given: Given): Run {
    const { frame, tap, otherMacs, captured } = given;
    const { netns, device } = tap.point;
    const run = this.#begin(given, "received", frame);
    tap.received.set(flowOf(frame).forward, run.received);
    if (otherMacs) this.#replacedMacs++;
    if (!captured.whole) this.#filled++;
    for (const segment of segmentsOf(frame, device.mtu)) {
      const placed = otherMacs ? this.#macs.received(segment, tap.point) : segment;
      const skb = newSkb(netns, placed, "capture");
      run.enter(skb.id);
      skb.packetType = packetTypeFor(placed.link.destination, device);
      netifReceiveSkb(skb, device);
    }
    return run;
  }

  /** A program where the question arrived answers it; what comes back is compared with the captured frame. */
  #answer(given: Given, { ns, frame: question }: { ns: NetworkNamespace; frame: Frame }): Run {
    const run = this.#begin(given, "answer", given.frame);
    this.#expect(given, run);
    for (const segment of this.#segments(given))
      this.#sendFrom(run, ns, answerFrame(segment, question));
    return run;
  }

  /** A program of the namespace itself sends. */
  #own(given: Given): Run {
    const run = this.#begin(given, "own", given.frame);
    given.tap.received.set(flowOf(given.frame).forward, run.received);
    this.#expect(given, run);
    for (const segment of this.#segments(given))
      this.#sendFrom(run, given.tap.point.netns, segment);
    return run;
  }

  #segments({ frame, tap }: Given): readonly Frame[] {
    return segmentsOf(frame, tap.point.device.mtu);
  }

  #expect(given: Given, run: Run): void {
    const { tap, captured, otherMacs } = given;
    const { whole } = captured;
    for (const captured of this.#segments(given))
      tap.expect(captured, (sighting) => {
        run.compared.push(comparison({ captured, sighting }, { otherMacs, whole }));
      });
  }

  #begin({ packet, captured, frame, tap }: Given, as: Run["as"], shown: Frame): Run {
    const run = new Run(
      packet,
      tap.point,
      as,
      shown,
      captured.link.bytes,
      this.#world.sim.queue.now,
    );
    run.midway = this.#midway.get(conversationOf(flowOf(frame)));
    this.#current = run;
    return run;
  }

  #sendFrom(run: Run, ns: NetworkNamespace, frame: Frame): void {
    const { network } = frame;
    const skb = newSkb(ns, frame, "capture");
    run.carry(skb.id);
    if (network?.kind !== "ipv4") return drop(skb, "NOT_SPECIFIED", "replay");
    const { source, destination, tos } = network;
    const route = routeOutput(ns, { destination, source, mark: 0, tos, anySource: true });
    if (!isRoute(route)) return drop(skb, "IP_OUTNOROUTES", "ip_local_out");
    attachRoute(skb, route, "output");
    ipLocalOut(skb);
  }

  #listen(event: TraceEvent): void {
    const run = this.#runOf(event);
    if (run === undefined) return;
    run.events.push(event);
    if (!("packet" in event)) return;
    const { packet, frame } = event;
    if (event.kind === "born") {
      this.#runs.set(packet, run);
      run.born(event);
    } else if (event.kind === "dropped") run.alive--;
    else if (event.kind === "delivered") {
      run.alive--;
      this.#arrived(run, event.ns, event.to, event);
    } else if (event.kind === "device") {
      if (!(event.direction === "rx" && run.entered(packet)))
        this.#taps
          .of(event.ns, event.dev)
          ?.see({ frame, by: run.packet.number, ownId: !run.carries(packet) });
    }
  }

  /** A packet came to a program, or left the world: its answer comes from there. */
  #arrived(
    run: Run,
    name: string,
    to: string,
    { packet, frame }: { packet: number; frame: Frame },
  ): void {
    const ns = this.#world.sim.namespaces.get(name);
    if (ns === undefined || !run.carries(packet) || !/^(socket|outside)/.test(to)) return;
    run.received.answerer = { ns, frame };
  }

  #runOf(event: TraceEvent): Run | undefined {
    if (!("packet" in event)) return this.#current;
    const known = this.#runs.get(event.packet);
    if (known !== undefined) return known;
    const cause = event.kind === "born" ? event.cause : undefined;
    return (cause === undefined ? undefined : this.#runs.get(cause)) ?? this.#current;
  }

  #finish(run: Run): ReplayedPacket {
    for (const id of run.packets) this.#runs.delete(id);
    const recording = recordingOf(run, this.#world, {
      world: this.#worldName,
      seed: this.#request.seed,
    });
    const { packet, point, frame, bytes, as, compared } = run;
    return {
      number: packet.number,
      time: packet.time,
      point: { ns: point.ns, dev: point.dev },
      frame,
      bytes,
      result: { kind: "sent", recording, as, compared },
    };
  }

  #tell(): void {
    this.notes.push(...this.#capture.notes);
    if (this.#replacedMacs > 0)
      this.notes.push(
        `MAC addresses of ${counted(this.#replacedMacs, "packet")} are not those of this world and were replaced by its own`,
      );
    if (this.#filled > 0)
      this.notes.push(
        `${counted(this.#filled, "packet")} of which only the beginning was captured: the rest is taken to be zeros`,
      );
    if (this.#passedOver > 0)
      this.notes.push(
        `${counted(this.#passedOver, "ARP packet")} that went out, and that this world sent at no such time, passed over`,
      );
    this.notes.push(...this.#world.common.notes);
  }
}

/** A frame of the capture and what is known about it. */
interface Given {
  readonly packet: CapturedPacket;
  readonly captured: CapturedFrame;
  readonly frame: Frame;
  readonly tap: Tap;
  readonly otherMacs: boolean;
}

/** By time: captures of several devices are written in chunks of each. */
function inOrder(packets: readonly CapturedPacket[]): readonly CapturedPacket[] {
  return packets.toSorted((a, b) => a.time - b.time || a.number - b.number);
}

/** A segment that no connection begins with. */
function isMidway({ transport }: Frame): boolean {
  return transport?.kind === "tcp" && (transport.flags & (TCP_SYN | TCP_ACK)) !== TCP_SYN;
}

/** Whether a program of the namespace sent the frame, and no rule has changed it since. */
function isOwn({ network }: Frame, ns: NetworkNamespace): boolean {
  if (network?.kind !== "ipv4" || inetAddrType(ns, network.source) !== "LOCAL") return false;
  const nat = rulesetOf(ns).tables.get("nat");
  return [...(nat?.chains.values() ?? [])].every(({ rules }) => rules.length === 0);
}
