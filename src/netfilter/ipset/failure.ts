/** What the kernel says to a request, by the part after IPSET_ERR_ of its constant. Mirrors include/uapi/linux/netfilter/ipset/ip_set.h. */
export type SetError =
  | "EXIST"
  | "NOT_ADDED"
  | "FULL"
  | "RANGE_SIZE"
  | "OUT_OF_RANGE"
  | "NULL_ELEMENT"
  | "INVALID_CIDR"
  | "INVALID_NETMASK"
  | "INVALID_PROTO"
  | "WHOLE_SPACE"
  | "NO_SET"
  | "NO_SECOND_SET"
  | "SET_EXISTS"
  | "NEW_NAME_EXISTS"
  | "BUSY"
  | "REFERENCED"
  | "TYPE_MISMATCH"
  | "NO_MEMBER"
  | "LOOP"
  | "NO_REFERENCE"
  | "REFERENCE_NOT_ADDED"
  | "NO_TIMEOUT"
  | "NO_COUNTERS"
  | "NO_COMMENT"
  | "NO_SKBINFO"
  | "UNSUPPORTED"
  | "EINVAL";

/** The words of ipset 7.17. Mirrors lib/errcode.c. */
export const SET_ERROR_TEXT: Readonly<Record<SetError, string>> = {
  EXIST: "Element cannot be added to the set: it's already added",
  NOT_ADDED: "Element cannot be deleted from the set: it's not added",
  FULL: "Hash is full, cannot add more elements",
  RANGE_SIZE: "The range you specified exceeds the size limit of the set type",
  OUT_OF_RANGE: "Element is out of the range of the set",
  NULL_ELEMENT: "Null-valued element, cannot be stored in a hash type of set",
  INVALID_CIDR: "The value of the CIDR parameter of the IP address is invalid",
  INVALID_NETMASK: "The value of the netmask parameter is invalid",
  INVALID_PROTO: "Invalid protocol specified",
  WHOLE_SPACE: "Invalid range, covers the whole address space",
  NO_SET: "The set with the given name does not exist",
  NO_SECOND_SET: "Sets cannot be swapped: the second set does not exist",
  SET_EXISTS: "Set cannot be created: set with the same name already exists",
  NEW_NAME_EXISTS: "Set cannot be renamed: a set with the new name already exists",
  BUSY: "Set cannot be destroyed: it is in use by a kernel component",
  REFERENCED: "Set cannot be renamed: it is in use by another system",
  TYPE_MISMATCH: "The sets cannot be swapped: their type does not match",
  NO_MEMBER: "Set to be added/deleted/tested as element does not exist.",
  LOOP: "Sets with list:set type cannot be added to the set.",
  NO_REFERENCE: "The set to which you referred with 'before' or 'after' does not exist.",
  REFERENCE_NOT_ADDED:
    "The set to which you referred with 'before' or 'after' is not added to the set.",
  NO_TIMEOUT: "Timeout cannot be used: set was created without timeout support",
  NO_COUNTERS: "Packet/byte counters cannot be used: set was created without counter support",
  NO_COMMENT: "Comment cannot be used: set was created without comment support",
  NO_SKBINFO: "Skbinfo mapping cannot be used: set was created without skbinfo support",
  UNSUPPORTED: "Kernel error received: set type not supported",
  EINVAL: "Kernel error received: Invalid argument",
};

/** A request that ipset or the kernel refuses. `usage` errors come with the advice to ask for help and exit code 2. */
export class SetRefusal extends Error {
  override readonly name = "SetRefusal";
  readonly usage: boolean;
  /** The word of the line that is wrong, where one is. */
  readonly word: string | undefined;
  readonly help: string | undefined;
  /** In a restore ipset forgets to name the line, and all but the last line of other messages. */
  readonly bare: boolean;

  constructor(
    message: string,
    traits: {
      readonly usage?: boolean;
      readonly word?: string;
      readonly help?: string | undefined;
      readonly bare?: boolean;
    } = {},
  ) {
    super(message);
    this.usage = traits.usage ?? false;
    this.word = traits.word;
    this.help = traits.help;
    this.bare = traits.bare ?? false;
  }

  /** What is said of it in line `line` of a restore. */
  inLine(line: number): string {
    if (this.usage || this.bare) return this.message;
    return `Error in line ${line}: ${this.message.split("\n").at(-1) ?? ""}`;
  }

  /** The same with one sentence that helps to go on. */
  withHelp(help: string): SetRefusal {
    const { message, usage, word } = this;
    return new SetRefusal(message, { usage, help, ...(word === undefined ? {} : { word }) });
  }
}

/** The kernel refuses. */
export function refused(error: SetError): SetRefusal {
  return new SetRefusal(SET_ERROR_TEXT[error]);
}

/** A word is wrong in itself. */
export function syntaxError(text: string, word?: string): SetRefusal {
  return new SetRefusal(`Syntax error: ${text}`, word === undefined ? {} : { word });
}

/** The command line is wrong. */
export function usageError(text: string, word?: string, help?: string): SetRefusal {
  return new SetRefusal(text, { usage: true, help, ...(word === undefined ? {} : { word }) });
}
