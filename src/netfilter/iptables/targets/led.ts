import { type TargetExtension, defineTarget } from "../extension.js";
import { flag, option } from "../options.js";
import { string, text } from "../values.js";

const ID = option("led-trigger-id", string(0, 27), { must: true });
const DELAY = option("led-delay", text);
const BLINK = flag("led-always-blink");

/** `-j LED`: blinks a light; the pinned kernel is built without it and refuses it. */
export const led: TargetExtension = defineTarget<readonly string[]>({
  name: "LED",
  mirrors: "net/netfilter/xt_LED.c:led_tg()",
  fidelity: "exact",
  examples: [],
  options: [ID, DELAY, BLINK],
  missingInKernel: true,
  parse: (args) => [
    `--led-trigger-id "${args.need(ID).value}"`,
    ...(args.has(DELAY) ? [`--led-delay ${args.value(DELAY) ?? ""}`] : []),
    ...(args.has(BLINK) ? ["--led-always-blink"] : []),
  ],
  format: (words) => words.join(" "),
});
