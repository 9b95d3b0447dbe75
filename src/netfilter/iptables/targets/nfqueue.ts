import { ACCEPT } from "../../../core/hooks.js";
import { type TargetExtension, defineTarget } from "../extension.js";
import { parseNumber } from "../numbers.js";
import { flag, option, type OptionUse } from "../options.js";
import { refuse } from "../refusal.js";
import { u16 } from "../values.js";

interface Queue {
  readonly number: number;
  readonly balance: readonly [number, number] | undefined;
  readonly bypass: boolean;
  readonly fanout: boolean;
}

const NUM = option("queue-num", u16, { excludes: ["queue-balance"] });
const BALANCE = option("queue-balance", readBalance, { excludes: ["queue-num"] });
const BYPASS = flag("queue-bypass");
const FANOUT = flag("queue-cpu-fanout", { needs: ["queue-balance"] });

/** `-j NFQUEUE`: hands the packet to a program. Nobody listens here: dropped, or with --queue-bypass accepted. */
export const nfqueue: TargetExtension = defineTarget<Queue>({
  name: "NFQUEUE",
  mirrors: "net/netfilter/xt_NFQUEUE.c:nfqueue_tg_v3()",
  fidelity: "simplified",
  examples: [
    "--queue-num 0",
    "--queue-num 3 --queue-bypass",
    "--queue-balance 0:3 --queue-cpu-fanout",
  ],
  options: [NUM, BALANCE, BYPASS, FANOUT],
  parse: (args) => ({
    number: args.value(NUM) ?? 0,
    balance: args.value(BALANCE),
    bypass: args.has(BYPASS),
    fanout: args.has(FANOUT),
  }),
  format: ({ number, balance, bypass, fanout }) =>
    [
      balance === undefined
        ? `--queue-num ${number}`
        : `--queue-balance ${balance[0]}:${balance[1]}`,
      ...(bypass ? ["--queue-bypass"] : []),
      ...(fanout ? ["--queue-cpu-fanout"] : []),
    ].join(" "),
  apply: ({ bypass }) =>
    bypass ? ACCEPT : { kind: "drop", reason: "NETFILTER_DROP", where: "nf_queue", isSilent: true },
});

function readBalance(text: string, { owner, option: name }: OptionUse): readonly [number, number] {
  const parts = text.split(":");
  if (parts.length !== 2) throw refuse(`Bad range "${text}"`);
  const [low, high] = parts.map((part) => {
    const value = parseNumber(part, 0, 65_535);
    if (value === undefined)
      throw refuse(
        `${owner}: bad value for option "--${name}" near "${part}", or out of range (0-65535).\n`,
      );
    return value;
  });
  if (low === undefined || high === undefined || low >= high)
    throw refuse(`${low} should be less than ${high}`);
  return [low, high];
}
