
/** The numbers as they are. */
function show(answers) {
  const rows = [];
  for (const [name, values] of Object.entries(answers)) {
    const single = values.length === 1;
    values.slice(0, 20).forEach((x, i) => {
      const unit = single ? (FACTS.units[name] ?? "") : "";
      rows.push([single ? name : `${name} ${i}`, `${Number(x.toPrecision(5))} ${unit}`]);
    });
    if (values.length > 20) rows.push([name, `and ${values.length - 20} more`]);
  }
  return [table(rows)];
}
