import { type MatchExtension, defineMatch } from "../extension.js";
import { option } from "../options.js";
import { parseNumber } from "../numbers.js";
import { refuse } from "../refusal.js";
import { string } from "../values.js";

interface Instruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

/** BPF_MAXINSNS of xt_bpf: XT_BPF_MAX_NUM_INSTR. */
const MAX_INSTRUCTIONS = 64;

const BYTECODE = option("bytecode", readProgram);
const PINNED = option("object-pinned", (text, use) => {
  string(1, 511)(text, use);
  // There is no bpf file system to look in.
  throw refuse("bpf: failed to get bpf object");
});

/** `-m bpf --bytecode "N,code jt jf k,…"`: a classic BPF program; it is kept and printed, not run. */
export const bpf: MatchExtension = defineMatch<readonly Instruction[]>({
  name: "bpf",
  mirrors: "net/netfilter/xt_bpf.c:bpf_mt()",
  fidelity: "unmodelled",
  examples: ['--bytecode "4,48 0 0 9,21 0 1 6,6 0 0 1,6 0 0 0"'],
  options: [BYTECODE, PINNED],
  check(args) {
    if (args.all.length === 0) throw refuse("bpf: one of --bytecode or --pinned is required");
  },
  parse: (args) => args.need(BYTECODE).value,
  format: (program) =>
    `--bytecode "${program.length},${program.map(({ code, jt, jf, k }) => `${code} ${jt} ${jf} ${k}`).join(",")}"`,
});

function readProgram(text: string): readonly Instruction[] {
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
