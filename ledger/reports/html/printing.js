// What is folded on the screen is unfolded on paper.
const folded = [];
addEventListener("beforeprint", () => {
  showLanes(lanes);
  for (const details of document.querySelectorAll("details:not([open])")) {
    details.open = true;
    folded.push(details);
  }
});
addEventListener("afterprint", () => {
  while (folded.length) folded.pop().open = false;
});
