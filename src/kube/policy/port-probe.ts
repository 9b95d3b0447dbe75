import { UserError } from "../../base/errors.js";
import type { PortProbe } from "./compile.js";

/** A port to try, as people write it: `80`, `udp/53`. Throws UserError. */
export function portProbe(text: string): PortProbe {
  const [, protocol = "tcp", digits = ""] = /^(?:(tcp|udp|sctp)\/)?(\d+)$/i.exec(text.trim()) ?? [];
  const port = Number(digits);
  if (digits === "" || port < 1 || port > 65_535)
    throw new UserError("USAGE", `"${text}" is not a port`, { help: "write 80 or udp/53" });
  return { protocol: protocol.toUpperCase(), port };
}
