import type { Place } from "../../base/errors.js";
import { type MaskedAddress, parseHostMask, type RuleFamily } from "./addresses.js";
import type { CommandContext } from "./command.js";
import type { ProtocolTest } from "./extension.js";
import type { ExtensionLoader } from "./extension-loader.js";
import { isIpv6ExtensionHeader, parseProtocol } from "./protocols.js";
import { refuse } from "./refusal.js";
import type { Action, AddressTest, InterfaceTest, RuleSpec } from "./rule.js";

const VERDICTS = ["ACCEPT", "DROP", "RETURN", "QUEUE"] as const;

/** Rules share what they all do alike. */
const NO_ACTION: Action = { kind: "none" };
const VERDICT_ACTIONS: Readonly<Record<(typeof VERDICTS)[number], Action>> = {
  ACCEPT: { kind: "verdict", verdict: "ACCEPT" },
  DROP: { kind: "verdict", verdict: "DROP" },
  RETURN: { kind: "verdict", verdict: "RETURN" },
  QUEUE: { kind: "verdict", verdict: "QUEUE" },
};
const PROTOCOL_TESTS: readonly ProtocolTest[] = Array.from({ length: 256 }, (_, number) => ({
  number,
  invert: false,
}));

interface Addresses {
  readonly text: string;
  readonly invert: boolean;
}

/** Collects the tests and the jump of one rule. */
export class RuleReader {
  /** The value of `-p` as typed. */
  protocolWord: string | undefined;
  protocol: ProtocolTest | undefined;
  readonly #context: CommandContext;
  readonly #loader: ExtensionLoader;
  /** The letters of the options that were given. */
  #seen = "";
  #source: Addresses | undefined;
  #destination: Addresses | undefined;
  #in: InterfaceTest | undefined;
  #out: InterfaceTest | undefined;
  #fragment: { readonly invert: boolean } | undefined;
  #jump: { readonly kind: "jump" | "goto"; readonly name: string } | undefined;

  constructor(context: CommandContext, loader: ExtensionLoader) {
    this.#context = context;
    this.#loader = loader;
  }

  has(letter: string): boolean {
    return this.#seen.includes(letter);
  }

  jumpsTo(name: string): boolean {
    return this.#jump?.name === name;
  }

  /** One of `-s -d -p -i -o -j -g -f`. */
  option(letter: string, value: string, invert: boolean): void {
    const key = letter === "g" ? "j" : letter;
    if (letter === "f" && this.#context.family === "ipv6")
      throw refuse("`-f' is not supported in IPv6, use -m frag instead");
    if (this.#seen.includes(key)) throw refuse(`multiple -${key} flags not allowed`);
    this.#seen += key;
    if (key === "j" && invert) throw refuse("cannot have ! before -j");
    switch (letter) {
      case "s":
        this.#source = { text: value, invert };
        break;
      case "d":
        this.#destination = { text: value, invert };
        break;
      case "p":
        this.#readProtocol(value, invert);
        break;
      case "i":
        this.#in = this.#readInterface(value, invert);
        break;
      case "o":
        this.#out = this.#readInterface(value, invert);
        break;
      case "f":
        this.#fragment = { invert };
        break;
      case "j":
        this.#readJump(value);
        break;
      case "g":
        checkTargetName(value);
        this.#jump = { kind: "goto", name: value };
        break;
    }
  }

  #readProtocol(value: string, invert: boolean): void {
    const number = parseProtocol(value);
    if (number === 0 && invert) throw refuse("rule would never match protocol");
    if (this.#context.family === "ipv6" && !invert && isIpv6ExtensionHeader(number)) {
      this.#context.warn(`Warning: never matched protocol: ${value}. use extension match instead.`);
    }
    this.protocolWord = value.toLowerCase();
    if (number === 0) this.protocol = undefined;
    else this.protocol = invert ? { number, invert } : PROTOCOL_TESTS[number];
  }

  #readInterface(name: string, invert: boolean): InterfaceTest | undefined {
    if (name.length > 15)
      throw refuse(`interface name \`${name}' must be shorter than IFNAMSIZ (15)`);
    if (/[/ ]/.test(name)) {
      this.#context.warn(
        `Warning: weird character in interface \`${name}' ('/' and ' ' are not allowed by the kernel).`,
      );
    }
    if (name === "") return undefined;
    const prefix = name.endsWith("+");
    return { name: prefix ? name.slice(0, -1) : name, prefix, invert };
  }

  #readJump(name: string): void {
    checkTargetName(name);
    this.#jump = { kind: "jump", name };
    const verdict = VERDICTS.some((known) => known === name);
    if (!verdict && !this.#context.isUserChain(name)) this.#loader.loadTarget(name);
  }

  /** The rules that the line stands for: one for each source and destination, destinations innermost. */
  specs(place: Place | undefined): readonly RuleSpec[] {
    const sources = this.#addresses(this.#source);
    const destinations = this.#addresses(this.#destination);
    const matches = this.#loader.matches();
    const action = this.#action();
    const specs: RuleSpec[] = [];
    for (const source of sources) {
      for (const destination of destinations) {
        specs.push({
          source,
          destination,
          in: this.#in,
          out: this.#out,
          protocol: this.protocol,
          fragment: this.#fragment,
          // Rules of one line must not share what their matches remember.
          matches: specs.length === 0 ? matches : matches.map((match) => match.fresh()),
          action,
          place,
        });
      }
    }
    return specs;
  }

  #addresses(given: Addresses | undefined): readonly (AddressTest | undefined)[] {
    if (given === undefined) return [undefined];
    const { family } = this.#context;
    if (!given.text.includes(",")) return [addressTest(given.text, given.invert, family)];
    const list = given.text.split(",");
    if (list.length > 1 && given.invert)
      throw refuse("! not allowed with multiple source or destination IP addresses");
    if (list.length > 255)
      throw refuse("too many addresses in one rule", { code: "LIMIT_ADDRESSES" });
    return list.map((text) => addressTest(text, given.invert, family));
  }

  #action(): Action {
    const jump = this.#jump;
    if (jump === undefined) return NO_ACTION;
    const target = this.#loader.target();
    if (target !== undefined) return { kind: "target", target };
    const verdict =
      jump.kind === "jump" ? VERDICTS.find((known) => known === jump.name) : undefined;
    if (verdict !== undefined) return VERDICT_ACTIONS[verdict];
    return { kind: jump.kind, chain: jump.name };
  }
}

function addressTest(text: string, invert: boolean, family: RuleFamily): AddressTest {
  const { address, mask }: MaskedAddress = parseHostMask(text.trim(), family);
  return { address, mask, invert };
}

/** Mirrors iptables/xshared.c:xt_parse_target(). */
function checkTargetName(name: string): void {
  if (name.length < 1) throw refuse("Invalid target name (too short)");
  if (name.length >= 29) throw refuse(`Invalid target name \`${name}' (28 chars max)`);
  if (/\s/.test(name)) throw refuse(`Invalid target name \`${name}'`);
}
