/** One instruction of a classic BPF program. Mirrors struct sock_filter. */
export interface BpfInstruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

/** What a program can ask of a packet beside its bytes; undefined for what nobody can tell. */
export type BpfAncillary = (offset: number) => number | undefined;

export interface BpfPacket {
  /** From the IP header on. */
  readonly bytes: Uint8Array;
  readonly ancillary: BpfAncillary;
}

const SKF_AD_OFF = -0x1000;
const SKF_LL_OFF = -0x20_0000;
const SKF_NET_OFF = -0x10_0000;
const BPF_MEMWORDS = 16;

/** Classes, sizes and modes. Mirrors include/uapi/linux/bpf_common.h. */
const [LD, LDX, ST, STX, ALU, JMP, RET, MISC] = [0, 1, 2, 3, 4, 5, 6, 7];

/** Whether the kernel takes a program. Mirrors net/core/filter.c:bpf_check_classic(). */
export function isValidProgram(program: readonly BpfInstruction[]): boolean {
  const last = program.at(-1);
  if (last === undefined || (last.code & 7) !== RET) return false;
  return (
    program.every((instruction, at) => isValid(instruction, program.length - at - 1)) &&
    loadsAfterStores(program)
  );
}

const LOADS: readonly number[] = [0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0x80, 0x00, 0x60];
const X_LOADS: readonly number[] = [0x01, 0x61, 0x81, 0xb1];

function isValid({ code, jt, jf, k }: BpfInstruction, left: number): boolean {
  switch (code & 7) {
    case LD:
      if (code === 0x60) return k < BPF_MEMWORDS;
      if (!LOADS.includes(code)) return false;
      return !isAncillary(code, k) || (k | 0) - SKF_AD_OFF < ANCILLARY_MAX;
    case LDX:
      return X_LOADS.includes(code) && (code !== 0x61 || k < BPF_MEMWORDS);
    case ST:
    case STX:
      return code < 8 && k < BPF_MEMWORDS;
    case ALU: {
      const operation = code & 0xf0;
      if (operation > 0xa0 || (operation === 0x80 && code !== 0x84)) return false;
      const byConstant = (code & 8) === 0;
      if ((operation === 0x30 || operation === 0x90) && byConstant && k === 0) return false;
      return !((operation === 0x60 || operation === 0x70) && byConstant && k >= 32);
    }
    case JMP:
      if (code === 0x05) return k < left;
      return (code & 0xf0) <= 0x40 && jt < left && jf < left;
    case RET:
      return code === 0x06 || code === 0x16;
    case MISC:
      return code === 0x07 || code === 0x87;
    default:
      return false;
  }
}

/** What is loaded from memory was stored before, on every way there. Mirrors check_load_and_stores(). */
function loadsAfterStores(program: readonly BpfInstruction[]): boolean {
  const stored = program.map(() => 0xffff);
  let now = 0;
  for (const [at, { code, jt, jf, k }] of program.entries()) {
    now &= stored[at] ?? 0;
    const meet = (to: number): void => void (stored[to] = (stored[to] ?? 0xffff) & now);
    if (code === 0x02 || code === 0x03) now |= 1 << k;
    else if ((code === 0x60 || code === 0x61) && (now & (1 << k)) === 0) return false;
    else if ((code & 7) === JMP) {
      for (const step of code === 0x05 ? [k] : [jt, jf]) meet(at + 1 + step);
      now = 0xffff;
    }
  }
  return true;
}

/** Mirrors bpf_anc_helper(): loads below zero that ask for more than bytes. */
function isAncillary(code: number, k: number): boolean {
  const offset = k | 0;
  return [0x20, 0x28, 0x30].includes(code) && offset >= SKF_AD_OFF && offset < 0;
}

const ANCILLARY_MAX = 64;

/**
 * What a program returns for a packet; 0 when it reads behind the packet's end, undefined when it asks what nobody can tell.
 * Mirrors kernel/bpf/core.c:___bpf_prog_run() for programs that net/core/filter.c:bpf_convert_filter() made.
 */
export function runBpf(program: readonly BpfInstruction[], packet: BpfPacket): number | undefined {
  const machine = new Machine(packet);
  for (let at = 0; at < program.length; at++) {
    const instruction = program[at];
    if (instruction === undefined) break;
    const { code, jt, jf, k } = instruction;
    switch (code & 7) {
      case RET:
        return code === 0x16 ? machine.a : k;
      case JMP:
        if (code === 0x05) at += k;
        else at += machine.jumps(code, k) ? jt : jf;
        break;
      default: {
        const stop = machine.step(code, k);
        if (stop !== undefined) return stop === "unknown" ? undefined : 0;
      }
    }
  }
  return 0;
}

class Machine {
  a = 0;
  x = 0;
  readonly #memory = new Uint32Array(BPF_MEMWORDS);
  readonly #packet: BpfPacket;

  constructor(packet: BpfPacket) {
    this.#packet = packet;
  }

  jumps(code: number, k: number): boolean {
    const other = (code & 8) === 0 ? k : this.x;
    switch (code & 0xf0) {
      case 0x10:
        return this.a === other;
      case 0x20:
        return this.a > other;
      case 0x30:
        return this.a >= other;
      default:
        return (this.a & other) !== 0;
    }
  }

  /** Why the program stops here, if it does. */
  step(code: number, k: number): "end" | "unknown" | undefined {
    switch (code & 7) {
      case LD:
        return this.#load(code, k);
      case LDX:
        return this.#loadX(code, k);
      case ST:
        this.#memory[k] = this.a;
        return undefined;
      case STX:
        this.#memory[k] = this.x;
        return undefined;
      case ALU:
        return this.#compute(code, k);
      default:
        if (code === 0x07) this.x = this.a;
        else this.a = this.x;
        return undefined;
    }
  }

  #load(code: number, k: number): "end" | "unknown" | undefined {
    if (code === 0x00) this.a = k;
    else if (code === 0x60) this.a = this.#memory[k] ?? 0;
    else if (code === 0x80) this.a = this.#packet.bytes.length;
    else if (isAncillary(code, k)) return this.#ask((k | 0) - SKF_AD_OFF);
    else {
      const offset = (code & 0xe0) === 0x40 ? (this.x + (k | 0)) | 0 : k | 0;
      const value = this.#read(offset, SIZES[(code >> 3) & 3] ?? 4);
      if (typeof value !== "number") return value;
      this.a = value;
    }
    return undefined;
  }

  #loadX(code: number, k: number): "end" | "unknown" | undefined {
    if (code === 0x01) this.x = k;
    else if (code === 0x61) this.x = this.#memory[k] ?? 0;
    else if (code === 0x81) this.x = this.#packet.bytes.length;
    else {
      // The length of an IPv4 header: the only mode of its kind.
      const value = this.#read(k | 0, 1);
      if (typeof value !== "number") return value;
      this.x = (value & 15) * 4;
    }
    return undefined;
  }

  #ask(offset: number): "unknown" | undefined {
    if (offset === ALU_XOR_X) this.a = (this.a ^ this.x) >>> 0;
    else {
      const value = this.#packet.ancillary(offset);
      if (value === undefined) return "unknown";
      this.a = value >>> 0;
    }
    return undefined;
  }

  #compute(code: number, k: number): "end" | undefined {
    const other = (code & 8) === 0 ? k : this.x;
    const operation = code & 0xf0;
    if ((operation === 0x30 || operation === 0x90) && other === 0) return "end";
    this.a = arithmetic(operation, this.a, other) >>> 0;
    return undefined;
  }

  /** Big-endian, from the IP header on. What lies before it is the link's. */
  #read(offset: number, size: number): number | "end" | "unknown" {
    const { bytes } = this.#packet;
    let from = offset;
    if (offset < 0) {
      if (offset >= SKF_NET_OFF) from = offset - SKF_NET_OFF;
      else return offset >= SKF_LL_OFF ? "unknown" : "end";
    }
    if (from + size > bytes.length) return "end";
    let value = 0;
    for (let at = from; at < from + size; at++) value = value * 256 + (bytes[at] ?? 0);
    return value;
  }
}

const SIZES: readonly number[] = [4, 2, 1];
const ALU_XOR_X = 40;

function arithmetic(operation: number, a: number, b: number): number {
  switch (operation) {
    case 0x00:
      return a + b;
    case 0x10:
      return a - b;
    case 0x20:
      return Math.imul(a, b);
    case 0x30:
      return Math.floor(a / b);
    case 0x40:
      return a | b;
    case 0x50:
      return a & b;
    case 0x60:
      return a << (b & 31);
    case 0x70:
      return a >>> (b & 31);
    case 0x80:
      return -a;
    case 0x90:
      return a % b;
    default:
      return a ^ b;
  }
}
