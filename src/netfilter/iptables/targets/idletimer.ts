import { CONTINUE, type TargetExtension, defineTarget } from "../extension.js";
import { flag, option } from "../options.js";
import { string, u32 } from "../values.js";

interface IdleTimer {
  readonly timeout: number;
  readonly label: string;
  readonly alarm: boolean;
}

/** INT_MAX milliseconds. */
const MOST_SECONDS = 2_147_483;

const TIMEOUT = option("timeout", u32, { must: true });
const LABEL = option("label", string(1, 27), { must: true });
const ALARM = flag("alarm");

/** `-j IDLETIMER`: restarts a timer that programs see in sysfs; the packet goes on. */
export const idletimer: TargetExtension = defineTarget<IdleTimer>({
  name: "IDLETIMER",
  mirrors: "net/netfilter/xt_IDLETIMER.c:idletimer_tg_target_v1()",
  fidelity: "exact",
  examples: ["--timeout 30 --label lan", "--timeout 30 --label wan --alarm"],
  options: [TIMEOUT, LABEL, ALARM],
  parse: (args) => ({
    timeout: args.need(TIMEOUT).value,
    label: args.need(LABEL).value,
    alarm: args.has(ALARM),
  }),
  format: ({ timeout, label, alarm }) =>
    `--timeout ${timeout} --label ${label}${alarm ? " --alarm" : ""}`,
  refuses: ({ timeout, label }) =>
    timeout === 0 || timeout >= MOST_SECONDS || label === "" ? "Invalid argument" : undefined,
  apply: () => CONTINUE,
});
