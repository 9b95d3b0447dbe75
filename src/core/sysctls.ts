/** One knob: how it is read and written. `set` throws a RangeError with the kernel's word (`Invalid argument`) for a bad value. */
export interface Sysctl {
  get(): string;
  set(value: string): void;
}

/** The knobs of one namespace by dotted name. Floors keep typed values of their own and define their knobs here. */
export class Sysctls {
  readonly #knobs = new Map<string, Sysctl>();

  define(name: string, sysctl: Sysctl): void {
    this.#knobs.set(name, sysctl);
  }

  /** Forgets a knob, when its device goes. */
  remove(name: string): void {
    this.#knobs.delete(name);
  }

  /** Moves the knobs of a device to its new name; a dot in a device's name stands as a slash. */
  renameDevice(from: string, to: string): void {
    const segment = `.${from.replaceAll(".", "/")}.`;
    for (const [name, knob] of [...this.#knobs]) {
      if (!name.includes(segment)) continue;
      this.#knobs.delete(name);
      this.#knobs.set(name.replace(segment, `.${to.replaceAll(".", "/")}.`), knob);
    }
  }

  find(name: string): Sysctl | undefined {
    return this.#knobs.get(name);
  }

  /** All names in order of definition. */
  names(): readonly string[] {
    return [...this.#knobs.keys()];
  }
}

/** A knob over a number that is kept elsewhere, within bounds (both included). */
export function numberSysctl(
  get: () => number,
  set: (value: number) => void,
  low = 0,
  high = 2_147_483_647,
): Sysctl {
  return {
    get: () => String(get()),
    set(text) {
      const value = Number(text.trim());
      if (!Number.isInteger(value) || value < low || value > high)
        throw new RangeError("Invalid argument");
      set(value);
    },
  };
}
