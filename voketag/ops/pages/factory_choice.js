/* Choosing a factory by its name. */

import { asked } from "./address.js";
import { get } from "./api.js";
import { choice } from "./filters.js";

const AT_MOST = 1000;

/** A choice among the factories, the parameter `factory_id`. @param {string} any the word for all of them */
export async function factoryChoice(any) {
  const { factories } = await get(`/v1/factories?limit=${AT_MOST}`);
  const options = factories.map((factory) => [factory.factory_id, factory.name]);
  options.sort(([, a], [, b]) => a.localeCompare(b));
  const chosen = asked("factory_id");
  if (chosen && !options.some(([id]) => id === chosen)) options.push([chosen, chosen]);
  return choice("factory", [["", any], ...options], chosen, { name: "factory_id" });
}
