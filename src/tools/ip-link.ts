import type { NetDevice } from "../core/device.js";
import { rtnetlink } from "./failure.js";
import { deviceOf, type IpContext, namespaceOf } from "./ip-context.js";
import { linkAdd } from "./ip-link-add.js";
import { linkSet } from "./ip-link-set.js";
import { linkShow } from "./ip-link-show.js";
import { abbreviates, chooseCommand, type Words } from "./words.js";

type Command = (words: Words, context: IpContext) => string;

const COMMANDS: readonly (readonly [string, Command])[] = [
  ["show", linkShow],
  ["lst", linkShow],
  ["list", linkShow],
  ["add", linkAdd],
  ["set", linkSet],
  ["change", linkSet],
  ["delete", linkDelete],
];

/** `ip link`. */
export function ipLink(words: Words, context: IpContext): string {
  return chooseCommand(COMMANDS, words.shift(), "ip link help")(words, context);
}

function linkDelete(words: Words, context: IpContext): string {
  words.take("dev");
  const dev: NetDevice = deviceOf(namespaceOf(context), words.value());
  const type = words.peek();
  if (type !== undefined && abbreviates(type, "type")) {
    words.shift();
    words.value();
  }
  if (dev.isLoopback) throw rtnetlink("Operation not supported");
  dev.destroy();
  return "";
}
