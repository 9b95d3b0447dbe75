import type { SkBuff } from "../../../core/skbuff.js";
import { encodeFrame, type Frame, ipHeaderLength } from "../../../wire/frame.js";
import { ETH_HLEN } from "../../../wire/ethernet.js";
import { type BpfInstruction, isValidProgram, runBpf } from "../bpf-program.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { option } from "../options.js";
import { parseNumber } from "../numbers.js";
import { refuse } from "../refusal.js";
import { string } from "../values.js";

/** BPF_MAXINSNS of xt_bpf: XT_BPF_MAX_NUM_INSTR. */
const MAX_INSTRUCTIONS = 64;

const BYTECODE = option("bytecode", readProgram);
const PINNED = option("object-pinned", (text, use) => {
  string(1, 511)(text, use);
  // There is no bpf file system to look in.
  throw refuse("bpf: failed to get bpf object");
});

/** `-m bpf --bytecode "N,code jt jf k,…"`: a classic BPF program; true when it returns anything but 0. */
export const bpf: MatchExtension = defineMatch<readonly BpfInstruction[]>({
  name: "bpf",
  mirrors: "net/netfilter/xt_bpf.c:bpf_mt()",
  fidelity: "exact",
  examples: ['--bytecode "4,48 0 0 9,21 0 1 6,6 0 0 1,6 0 0 0"'],
  options: [BYTECODE, PINNED],
  check(args) {
    if (args.all.length === 0) throw refuse("bpf: one of --bytecode or --pinned is required");
  },
  parse: (args) => args.need(BYTECODE).value,
  format: (program) =>
    `--bytecode "${program.length},${program.map(({ code, jt, jf, k }) => `${code} ${jt} ${jf} ${k}`).join(",")}"`,
  refuses: (program) => (isValidProgram(program) ? undefined : "Invalid argument"),
  isPure: true,
  matches(program, skb) {
    const returned = runBpf(program, {
      bytes: bytesOf(skb.frame),
      ancillary: (offset) => ancillary(skb, offset),
    });
    return returned === undefined ? "unknown" : returned !== 0;
  },
  why(program, skb) {
    const packet = { bytes: bytesOf(skb.frame), ancillary: (at: number) => ancillary(skb, at) };
    return runBpf(program, packet) === undefined
      ? "the program asks what is not modelled"
      : "the program returns 0";
  },
});

function bytesOf(frame: Frame): Uint8Array {
  return encodeFrame(frame).subarray(ETH_HLEN);
}

const PACKET_TYPES = {
  HOST: 0,
  BROADCAST: 1,
  MULTICAST: 2,
  OTHERHOST: 3,
  OUTGOING: 4,
  LOOPBACK: 5,
} as const;

/** Mirrors the SKF_AD_* loads of net/core/filter.c:convert_bpf_extensions(), as far as packets here have them. */
function ancillary(skb: SkBuff, offset: number): number | undefined {
  const { network } = skb.frame;
  switch (offset) {
    case 0:
      return skb.frame.link.etherType;
    case 4:
      return PACKET_TYPES[skb.packetType];
    case 8:
      return skb.dev?.ifindex;
    case 20:
      return skb.mark;
    case 36:
      return 0;
    case 52:
      return network === undefined || network.kind === "arp" ? 0 : payloadOffset(skb.frame);
    default:
      return undefined;
  }
}

/** Where the payload begins, behind the transport header. Mirrors skb_get_poff(). */
function payloadOffset(frame: Frame): number {
  const length = bytesOf(frame).length;
  return frame.transport === undefined &&
    frame.network !== undefined &&
    frame.network.kind !== "arp"
    ? ipHeaderLength(frame.network)
    : length - frame.payload.length;
}

function readProgram(text: string): readonly BpfInstruction[] {
  const [count = "", ...rest] = text.split(",");
  const length = /^\d+$/.test(count) && rest.length > 0 ? parseNumber(count, 0, 65_535) : undefined;
  if (length === undefined) throw refuse("bpf: error parsing program length");
  if (length > MAX_INSTRUCTIONS) throw refuse(`bpf: number of instructions exceeds maximum`);
  const program = rest
    .filter((part) => part.trim() !== "")
    .map((part) => {
      const words = part
        .trim()
        .split(/\s+/)
        .map((word) => parseNumber(word, 0, 0xffff_ffff));
      const [code, jt, jf, k] = words;
      if (code === undefined || jt === undefined || jf === undefined || k === undefined)
        throw refuse("bpf: error at instr 0");
      return { code, jt, jf, k };
    });
  if (program.length < length)
    throw refuse("bpf: parsed program length is less than the encoded length parameter");
  if (program.length > length)
    throw refuse("bpf: real program length exceeds the encoded length parameter");
  return program;
}
