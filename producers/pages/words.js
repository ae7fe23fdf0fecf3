// What is said of an answer: the words stand in the page, one table for the server and this script.

/** The table of this page's language; see pages/texts. */
export const words = JSON.parse(document.getElementById("words").textContent);

/** A text whose {slots} hold `values`. */
export function filled(text, values = {}) {
  return text.replace(/\{(\w+)\}/g, (slot, name) => values[name] ?? slot);
}

/** The form of a counted thing by the plural rules of the language, with the count in it. */
export function many(forms, count) {
  const form = forms[new Intl.PluralRules(words.locale).select(count)] ?? forms.other;
  return filled(form, { n: new Intl.NumberFormat(words.locale).format(count) });
}

/** A time (RFC 3339) as its UTC day, in full. */
export function day(time) {
  const format = new Intl.DateTimeFormat(words.locale, { dateStyle: "long", timeZone: "UTC" });
  return format.format(new Date(time));
}
