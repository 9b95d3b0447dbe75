import { UserError } from "../base/errors.js";

/** What a capture says of one place where it listened. */
export interface CaptureInterface {
  /** `eth0`; undefined where the file does not say. */
  readonly name: string | undefined;
  /** How its packets begin: a LINKTYPE_ number. */
  readonly linkType: number;
}

/** One packet of a capture file; its bytes are given by `packetBytes`. */
export interface CapturedPacket {
  /** Counts from 1 over the file, as tcpdump and Wireshark count. */
  readonly number: number;
  /** An index into the interfaces of the capture. */
  readonly interface: number;
  /** In nanoseconds from the first packet that has a time; negative for one that is older. */
  readonly time: number;
  /** Where its bytes stand in the file, and how many there are. */
  readonly start: number;
  readonly length: number;
  /** How many there were on the wire; more than `length` when the packet was cut short. */
  readonly originalLength: number;
  /** Whether the device received it or sent it, where the file says so. */
  readonly direction: "in" | "out" | undefined;
  readonly comment: string | undefined;
}

/** A capture file, read: nothing is copied out of it. */
export interface Capture {
  readonly file: string;
  readonly format: "pcap" | "pcapng";
  readonly bytes: Uint8Array;
  readonly interfaces: readonly CaptureInterface[];
  readonly packets: readonly CapturedPacket[];
  /** Things to know that keep nobody from reading on: a last packet that is cut off. */
  readonly notes: readonly string[];
}

/** What a capture may bring. Each limit is named when it is hit. */
export const captureLimits = {
  packets: 1_000_000,
  interfaces: 10_000,
  /** libpcap's MAXIMUM_SNAPLEN. */
  packetBytes: 262_144,
} as const;

export function packetBytes({ bytes }: Capture, { start, length }: CapturedPacket): Uint8Array {
  return bytes.subarray(start, start + length);
}

/** A mistake in a capture, at a byte. */
export function damaged(file: string, offset: number, message: string, help?: string): UserError {
  return new UserError("CAPTURE", message, { byte: { file, offset }, help });
}

/** Puts packets together as they are read: numbers them, and counts their times from the first one. */
export class CaptureReader {
  readonly file: string;
  readonly packets: CapturedPacket[] = [];
  readonly interfaces: CaptureInterface[] = [];
  readonly notes: string[] = [];
  #first: bigint | undefined;
  #last = 0;

  constructor(file: string) {
    this.file = file;
  }

  addInterface(found: CaptureInterface, offset: number): void {
    if (this.interfaces.length >= captureLimits.interfaces)
      throw damaged(
        this.file,
        offset,
        `more than ${captureLimits.interfaces} interfaces in one capture`,
      );
    this.interfaces.push(found);
  }

  /** `time` is in nanoseconds since 1970; a packet without one has that of the packet before. */
  add(packet: Omit<CapturedPacket, "number" | "time">, time: bigint | undefined): void {
    if (this.packets.length >= captureLimits.packets)
      throw damaged(
        this.file,
        packet.start,
        `more than ${captureLimits.packets} packets in one capture`,
        "editcap -c splits it into several files",
      );
    if (time !== undefined) {
      this.#first ??= time;
      this.#last = Number(time - this.#first);
    }
    // Written out: a spread that adds fields is slow on Node 20, and captures are long.
    this.packets.push({
      number: this.packets.length + 1,
      interface: packet.interface,
      time: this.#last,
      start: packet.start,
      length: packet.length,
      originalLength: packet.originalLength,
      direction: packet.direction,
      comment: packet.comment,
    });
  }

  /** Says that the file ends in the middle of something. */
  cutShort(offset: number, what: string): void {
    this.notes.push(`${this.file}: byte ${offset}: ${what}: what comes before is read`);
  }

  done(format: Capture["format"], bytes: Uint8Array): Capture {
    const { file, packets, interfaces, notes } = this;
    return { file, format, bytes, interfaces, packets, notes };
  }
}
