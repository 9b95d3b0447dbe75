import type { TargetExtension } from "../extension.js";
import { prefixTranslation } from "./prefix-translation.js";

/** `-j DNPT` of IPv6: another prefix for the destination. */
export const dnpt: TargetExtension = prefixTranslation("DNPT", ["PREROUTING", "OUTPUT"]);
