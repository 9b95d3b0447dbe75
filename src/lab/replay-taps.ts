import { deliver } from "../core/drop.js";
import type { NetworkNamespace } from "../core/namespace.js";
import type { ComparedFrames } from "../core/replay-recording.js";
import type { Frame } from "../wire/frame.js";
import { flowOf, signatureOf } from "./replay-flow.js";
import type { Point } from "./replay-points.js";

/** A frame that the world brought past a place where the capture listened. */
export interface Sighting {
  readonly frame: Frame;
  /** The captured packet that made the world do so. */
  readonly by: number;
  /** The kernel made the packet itself. */
  readonly ownId: boolean;
}

/** Who has a packet that came from here: whoever answers it. */
export interface Answerer {
  readonly ns: NetworkNamespace;
  /** The packet as it arrived there. */
  readonly frame: Frame;
}

/** A packet that was put in here, and what became of it. */
export interface Received {
  readonly by: number;
  answerer: Answerer | undefined;
}

/** Most sightings that wait for the capture to show them too; the oldest are forgotten. */
const MOST_WAITING = 10_000;

/**
 * A place where the capture listened. Frames of the capture come in here; what the world sends back to their senders
 * ends here, as those are not in the world but in the capture.
 */
export class Tap {
  readonly point: Point;
  /** Packets of the capture that came in here, by their flow. */
  readonly received: Map<string, Received> = new Map();
  readonly #waiting = new Map<string, Sighting[]>();
  readonly #expected = new Map<string, (sighting: Sighting) => void>();
  #count = 0;

  constructor(point: Point) {
    this.point = point;
    const { device, ns, dev } = point;
    const transmit = device.transmit.bind(device);
    device.transmit = (skb) => {
      // ARP is answered by those who are in the world: the capture's answers come at times of their own.
      const isArp = skb.frame.network?.kind === "arp";
      if (!isArp && this.received.has(flowOf(skb.frame).reverse))
        deliver(skb, `capture ${ns}:${dev}`);
      else transmit(skb);
    };
  }

  /** Calls `then` with the next frame like this one instead of keeping it. */
  expect(frame: Frame, then: (sighting: Sighting) => void): void {
    this.#expected.set(signatureOf(frame), then);
  }

  see(sighting: Sighting): void {
    const signature = signatureOf(sighting.frame);
    const expected = this.#expected.get(signature);
    if (expected !== undefined) {
      this.#expected.delete(signature);
      return expected(sighting);
    }
    const known = this.#waiting.get(signature);
    if (known === undefined) this.#waiting.set(signature, [sighting]);
    else known.push(sighting);
    if (++this.#count > MOST_WAITING) this.#forgetOldest();
  }

  /** The frames that the world brought past here and that these captured ones show: all of them, or none. */
  take(frames: readonly Frame[]): readonly Shown[] {
    const found = frames.flatMap((captured) => {
      const sighting = this.#waiting.get(signatureOf(captured))?.[0];
      return sighting === undefined ? [] : [{ captured, sighting }];
    });
    if (found.length < frames.length) return [];
    for (const { captured } of found) {
      const signature = signatureOf(captured);
      const known = this.#waiting.get(signature);
      known?.shift();
      if (known?.length === 0) this.#waiting.delete(signature);
      this.#count--;
    }
    return found;
  }

  #forgetOldest(): void {
    for (const [signature, sightings] of this.#waiting) {
      this.#count -= sightings.length;
      this.#waiting.delete(signature);
      return;
    }
  }
}

/** The taps of a replay. */
export class Taps {
  readonly #byDevice = new Map<string, Tap>();

  at(point: Point): Tap {
    const key = `${point.ns} ${point.dev}`;
    const known = this.#byDevice.get(key);
    if (known !== undefined) return known;
    const tap = new Tap(point);
    this.#byDevice.set(key, tap);
    return tap;
  }

  of(ns: string, dev: string | undefined): Tap | undefined {
    return this.#byDevice.get(`${ns} ${dev ?? ""}`);
  }
}

/** A captured frame, and the world's. */
export interface Shown {
  readonly captured: Frame;
  readonly sighting: Sighting;
}

/** What both have to be compared for. */
export function comparison(
  { captured, sighting: { frame, ownId } }: Shown,
  { otherMacs, whole }: { readonly otherMacs: boolean; readonly whole: boolean },
): ComparedFrames {
  return { captured, world: frame, otherMacs, ownId, whole };
}
