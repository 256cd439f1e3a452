/** Moments as people read them, in the language and the time zone of the page. */

export function momentText(value: string | null | undefined, now: number = Date.now()): string {
  const at = value ? Date.parse(value) : NaN;
  if (!Number.isFinite(at)) {
    return '';
  }
  const date = new Date(at);
  const sameDay = new Date(now).toDateString() === date.toDateString();
  const near = Math.abs(at - now) < 6 * 86_400_000;
  return new Intl.DateTimeFormat(undefined, {
    ...(sameDay ? {} : near ? { weekday: 'short' } : { year: 'numeric', month: 'short', day: 'numeric' }),
    hour: '2-digit',
    minute: '2-digit',
    timeZoneName: 'short'
  }).format(date);
}

/** With seconds, for logs and histories. */
export function clockText(value: string | null | undefined): string {
  const at = value ? Date.parse(value) : NaN;
  return Number.isFinite(at)
    ? new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' }).format(at)
    : '';
}

/** "in 5 min", "2 h ago". */
export function distanceText(value: string | null | undefined, now: number = Date.now()): string {
  const at = value ? Date.parse(value) : NaN;
  if (!Number.isFinite(at)) {
    return '';
  }
  const seconds = (at - now) / 1000;
  const size = Math.abs(seconds);
  const units: [Intl.RelativeTimeFormatUnit, number][] = [
    ['day', 86_400],
    ['hour', 3600],
    ['minute', 60],
    ['second', 1]
  ];
  const [unit, length] = units.find(([, least]) => size >= least) ?? ['second', 1];
  return new Intl.RelativeTimeFormat(undefined, { numeric: 'auto', style: 'short' }).format(
    Math.round(seconds / length),
    unit
  );
}
