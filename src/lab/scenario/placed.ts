import { UserError, type UserErrorDetails } from "../../base/errors.js";

/** Does something; an error of it that says no place stands where `details` say. */
export function placed<T>(details: UserErrorDetails, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof UserError) || error.details.place !== undefined) throw error;
    throw new UserError(error.code, error.message, { ...details, help: error.details.help });
  }
}
