import { ETH_P_ARP, ETH_P_IP, ETH_P_IPV6 } from "../wire/ethernet.js";
import type { BpfLexer, BpfToken } from "./filter-bpf-lexer.js";
import {
  all,
  type BpfPacket,
  type BpfTest,
  etherType,
  ipProtocol,
  isFirstFragment,
  load,
  numberIn,
  transportOffset,
} from "./filter-bpf-packet.js";

/** A number that is made of a packet's bytes, and what must hold for it to mean anything. */
export interface Arithmetic {
  readonly needs: readonly BpfTest[];
  /** Undefined when it wants a byte that is not there, or divides by zero. */
  readonly value: (packet: BpfPacket) => number | undefined;
}

/** Names that stand for numbers. */
const CONSTANTS: Readonly<Record<string, number>> = {
  tcpflags: 13,
  "tcp-fin": 1,
  "tcp-syn": 2,
  "tcp-rst": 4,
  "tcp-push": 8,
  "tcp-ack": 16,
  "tcp-urg": 32,
  "tcp-ece": 64,
  "tcp-cwr": 128,
  icmptype: 0,
  icmpcode: 1,
  "icmp-echoreply": 0,
  "icmp-unreach": 3,
  "icmp-redirect": 5,
  "icmp-echo": 8,
  "icmp-timxceed": 11,
};

/** Headers whose bytes can be asked for. */
const TRANSPORTS: Readonly<Record<string, number>> = {
  icmp: 1,
  igmp: 2,
  tcp: 6,
  udp: 17,
  sctp: 132,
};
const NETWORKS: Readonly<Record<string, number>> = {
  ip: ETH_P_IP,
  arp: ETH_P_ARP,
  rarp: 0x8035,
  ip6: ETH_P_IPV6,
};

/** Whether a comparison of numbers begins here, not a test by words. */
export function startsArithmetic(lexer: BpfLexer): boolean {
  for (let ahead = 0; ; ahead++) {
    const token = lexer.peek(ahead);
    if (token.text === "(" || token.text === "-") continue;
    if (token.kind !== "word") return false;
    return (
      token.text === "len" ||
      lexer.peek(ahead + 1).text === "[" ||
      numberIn(CONSTANTS, token.text) !== undefined ||
      (/^(0x[0-9a-f]+|\d+)$/i.test(token.text) && OPERATORS.has(lexer.peek(ahead + 1).text))
    );
  }
}

const LEVELS: readonly (readonly string[])[] = [
  ["|"],
  ["^"],
  ["&"],
  ["<<", ">>"],
  ["+", "-"],
  ["*", "/", "%"],
];
const OPERATORS: ReadonlySet<string> = new Set([
  ...LEVELS.flat(),
  "=",
  "==",
  "!=",
  "<",
  ">",
  "<=",
  ">=",
]);
const DEPTH = 50;

/** Reads `tcp[13] & 7`. Throws UserError. */
export function parseArithmetic(lexer: BpfLexer, shift: number, depth = 0, level = 0): Arithmetic {
  const operators = LEVELS[level];
  if (operators === undefined) return unary(lexer, shift, depth);
  let left = parseArithmetic(lexer, shift, depth, level + 1);
  while (operators.includes(lexer.peek().text)) {
    const operator = lexer.next().text;
    left = binary(left, operator, parseArithmetic(lexer, shift, depth, level + 1));
  }
  return left;
}

function unary(lexer: BpfLexer, shift: number, depth: number): Arithmetic {
  const token = lexer.next();
  if (depth > DEPTH) throw lexer.wrong(token, `a number is nested at most ${DEPTH} deep`);
  if (token.text === "-") {
    const { needs, value } = unary(lexer, shift, depth + 1);
    return { needs, value: (packet) => negated(value(packet)) };
  }
  if (token.text === "(") {
    const inner = parseArithmetic(lexer, shift, depth + 1);
    if (!lexer.accept(")")) throw lexer.wrong(lexer.peek(), `")" is missing`);
    return inner;
  }
  if (token.text === "len") return { needs: [], value: ({ bytes }) => bytes.length };
  if (lexer.peek().text === "[") return bytesOf(lexer, token, shift, depth);
  const number = /^(0x[0-9a-f]{1,8}|\d{1,10})$/i.test(token.text)
    ? Number(token.text)
    : numberIn(CONSTANTS, token.text);
  if (number === undefined || number > 0xffff_ffff)
    throw lexer.wrong(
      token,
      token.kind === "end" ? "a number is missing here" : `"${token.text}" is no number`,
    );
  return { needs: [], value: () => number };
}

/** `tcp[OFFSET]`, `ip[OFFSET:SIZE]`. */
function bytesOf(lexer: BpfLexer, protocol: BpfToken, shift: number, depth: number): Arithmetic {
  lexer.next();
  const index = parseArithmetic(lexer, shift, depth + 1);
  let size = 1;
  if (lexer.accept(":")) {
    const token = lexer.next();
    size = Number(token.text);
    if (![1, 2, 4].includes(size)) throw lexer.wrong(token, "data size must be 1, 2, or 4");
  }
  if (!lexer.accept("]")) throw lexer.wrong(lexer.peek(), `"]" is missing`);
  const { start, needs } = headerOf(lexer, protocol, shift);
  return {
    needs: [...index.needs, ...needs],
    value: (packet) => {
      const at = index.value(packet);
      const from = start(packet.bytes);
      return at === undefined || from === undefined
        ? undefined
        : load(packet.bytes, from + at, size);
    },
  };
}

interface HeaderStart {
  readonly needs: readonly BpfTest[];
  readonly start: (bytes: Uint8Array) => number | undefined;
}

function headerOf(lexer: BpfLexer, protocol: BpfToken, shift: number): HeaderStart {
  const { text } = protocol;
  if (text === "ether" || text === "link") return { needs: [], start: () => 0 };
  const type = numberIn(NETWORKS, text);
  if (type !== undefined) return { needs: [etherType(type, shift)], start: () => 14 + shift };
  const number = numberIn(TRANSPORTS, text);
  if (number !== undefined)
    return {
      needs: [ipProtocol(number, "ip", shift), isFirstFragment(shift)],
      start: (bytes) => transportOffset(bytes, shift),
    };
  if (text === "icmp6")
    return { needs: [ipProtocol(58, "ip6", shift)], start: () => 14 + shift + 40 };
  throw lexer.wrong(protocol, `"${text}" has no bytes that can be asked for`);
}

/** Numbers are 32 bits without a sign. */
function binary(left: Arithmetic, operator: string, right: Arithmetic): Arithmetic {
  return {
    needs: [...left.needs, ...right.needs],
    value: (packet) => {
      const a = left.value(packet);
      const b = right.value(packet);
      return a === undefined || b === undefined ? undefined : calculate(a, operator, b);
    },
  };
}

function calculate(a: number, operator: string, b: number): number | undefined {
  switch (operator) {
    case "|":
      return (a | b) >>> 0;
    case "^":
      return (a ^ b) >>> 0;
    case "&":
      return (a & b) >>> 0;
    case "<<":
      return b > 31 ? 0 : (a << b) >>> 0;
    case ">>":
      return b > 31 ? 0 : a >>> b;
    case "+":
      return (a + b) >>> 0;
    case "-":
      return (a - b) >>> 0;
    case "*":
      return Math.imul(a, b) >>> 0;
    default:
      return b === 0 ? undefined : operator === "/" ? Math.floor(a / b) : a % b;
  }
}

function negated(value: number | undefined): number | undefined {
  return value === undefined ? undefined : -value >>> 0;
}

/** `LEFT = RIGHT` and its like; false for packets that a byte is asked of which they cannot have. */
export function compareArithmetic(left: Arithmetic, operator: string, right: Arithmetic): BpfTest {
  return all([
    ...left.needs,
    ...right.needs,
    (packet) => {
      const a = left.value(packet);
      const b = right.value(packet);
      return a === undefined || b === undefined ? undefined : holds(a, operator, b);
    },
  ]);
}

function holds(a: number, operator: string, b: number): boolean {
  switch (operator) {
    case "!=":
      return a !== b;
    case "<":
      return a < b;
    case ">":
      return a > b;
    case "<=":
      return a <= b;
    case ">=":
      return a >= b;
    default:
      return a === b;
  }
}
