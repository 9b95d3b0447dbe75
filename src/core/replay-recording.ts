import type { Frame } from "../wire/frame.js";
import type { Recording } from "./recording.js";

/** Where a capture listened, in the world. */
export interface ReplayPoint {
  readonly ns: string;
  readonly dev: string;
}

/** A frame as the capture has it and as the world made it. */
export interface ComparedFrames {
  readonly captured: Frame;
  readonly world: Frame;
  /** MAC addresses of the capture are not those of the world: they say nothing. */
  readonly otherMacs: boolean;
  /** The kernel made the packet itself: its IP id is its own. */
  readonly ownId: boolean;
  /** The capture has all bytes of the packet. */
  readonly whole: boolean;
}

/** What became of one captured packet. */
export type ReplayResult =
  /** It went through the world: put in where it was captured, or sent as the answer that it is. */
  | {
      readonly kind: "sent";
      readonly recording: Recording;
      readonly as: "received" | "answer" | "own";
      /** For one that the world was to bring out where it was captured: what came out, in as many parts as it has. */
      readonly compared: readonly ComparedFrames[];
    }
  /** The world made it already, when packet `by` went through. */
  | { readonly kind: "seen"; readonly by: number; readonly compared: readonly ComparedFrames[] }
  /** The world would not have made it: packet `by` did not get through. */
  | { readonly kind: "contradicted"; readonly by: number }
  | { readonly kind: "unknown"; readonly reason: string };

/** One packet of a capture after its replay. */
export interface ReplayedPacket {
  /** As the capture counts, from 1. */
  readonly number: number;
  /** In nanoseconds from the first packet. */
  readonly time: number;
  readonly point: ReplayPoint | undefined;
  /** As captured; undefined when its headers cannot be read. */
  readonly frame: Frame | undefined;
  /** The bytes of its Ethernet frame, as far as they were captured. */
  readonly bytes: Uint8Array;
  readonly result: ReplayResult;
}
