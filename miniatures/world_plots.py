"""The plots of the micro-world: what can happen, and how it is told and summarised.

A plot is a list of beats; a beat is a list of equivalent wordings. The outcome adds the last beats and the summary.
Fields: N R aR he him his He His  the hero        H HR aHR hhe hhim hhis     the helper
        O OR aOR                  a third person  A  someone who is only scenery
        T T2 towns, S S2 spots, X Y objects (aX aY with article), kin, day, n n2 numbers; the rest is per plot.
"""

OPENINGS = [
    "{N} was {aR} who lived near {S2} in {T}.",
    "In the town of {T} there lived {aR} named {N}.",
    "It was {weather} in {T}, and {scene}. {N} the {R} was already awake.",
    "It was {weather}, and {scene}. In a small house in {T}, {N} the {R} was making tea.",
    "Everybody in {T} knew {N} the {R}.",
    "{A} still tells this story at {S2} in {T}. It is about {aR} called {N}.",
    "On {day0} morning {N} the {R} walked through {T} and whistled.",
    "People in {T} like to talk, and last {day0} they talked about {N} the {R}.",
]

# True of the scene, useless for the summary.
DISTRACTORS = [
    "{A} was selling {food2} near {S2}.",
    "Two boys were throwing stones into the water at {S2}.",
    "A {animal2} slept in the sun and did not care.",
    "At {S2} a man argued loudly about the price of {food2}.",
    "The clock struck {n2}, but nobody counted.",
    "{A} waved from a window and went back to bed.",
    "There had been no music in {T2} since {day0}.",
    "Somebody had painted the door of {S2} green.",
    "The wind carried the smell of {food2} over the roofs.",
    "{A} had just bought {aY} and showed it to everyone.",
    "In {T2}, people said, it had not rained for {n2} weeks.",
    "A child asked {him} for {food2}, but {he} had none.",
    "{A} said that the summer would be short.",
    "Far away a dog barked {n2} times.",
    "That week the newspaper wrote only about {A} and a lost {animal2}.",
    "{His} shoes were wet, and {his} hat was too big.",
]

CLOSINGS = [
    "{He} slept well that night.",
    "Even {A} had to smile.",
    "In {T} they still talk about it.",
    "Then it began to rain again.",
    "{A} said that it had been clear from the start.",
    "After that there was tea and {food2} for everyone.",
    "The next morning everything was as quiet as before.",
]

LOST = {
    "name": "lost",
    "beats": [
        ["{He} had lost {his} {X}, a gift from {his} {kin}.",
         "That day {he} noticed that {his} {X} was gone, the one {his} {kin} had given {him}.",
         "When {he} opened the drawer, the {X} from {his} {kin} was missing."],
        ["{He} looked {hide2} first, but found only dust.",
         "{O} the {OR} swore that it lay {hide2} at {S2}, but that was wrong.",
         "A letter told {him} to look {hide2}, but there was nothing."],
        ["Then {H}, {aHR}, came with {searcher} and offered to help.",
         "{H} the {HR} heard about it and came at once with {searcher}.",
         "Luckily {he} met {aHR} called {H}, who owned {searcher}."],
    ],
    "outcomes": [
        ([["They went to {S} together, and there it was, {hide}.",
           "In the evening they searched {S}, and {H} saw it lying {hide}."]],
         "{N} the {R} lost a gift from {his} {kin}, {aX}. {H} the {HR} helped {him} to find it {hide} at {S}."),
        ([["They searched {S} until it was dark, but the {X} was gone for ever.",
           "They turned over every stone at {S} and found nothing at all."],
          ["To cheer {him} up, {H} gave {him} {aY}.", "In the end {H} made {him} a present of {aY}."]],
         "{N} the {R} searched {S} for the {X} but never found it. {H} the {HR} gave {him} {aY} instead."),
        ([["At {S} they found the nest of {thief}, full of shiny things.",
           "The tracks of {thief} led them straight to {S}."],
          ["The {X} was there, without a scratch.", "There lay the {X}, a little dirty but whole."]],
         "The {X} of {N} the {R} had been stolen by {thief}. {N} and {H} the {HR} got it back at {S}."),
    ],
}

DELIVERY = {
    "name": "delivery",
    "beats": [
        ["{He} had promised to bring {aX} to {O}, {aOR} in {T2}, before {deadline}.",
         "{O}, {aOR} in {T2}, had ordered {aX} and needed it before {deadline}.",
         "A message came from {T2}: {O} the {OR} must have {aX} before {deadline}."],
        ["{road}"],
        ["{H}, {aHR}, came by and lent {him} {ride}.",
         "Just then {aHR} named {H} stopped and offered {him} {ride}.",
         "{He} sat down and wept until {H} the {HR} brought {him} {ride}."],
    ],
    "outcomes": [
        ([["{He} arrived just in time, and {O} paid {him} {n} coins.",
           "{O} was already at the door, thanked {him} and counted out {n} coins."]],
         "In spite of {road_short}, {N} the {R} brought {aX} to {O} in {T2} and earned {n} coins. {H} the {HR} had lent {him} {ride}."),
        ([["Even so {he} came {n} hours late, and {O} would not pay.",
           "But it took {n} hours too long, and {O} sent {him} away without a coin."],
          ["So {he} gave the {X} to {H} as thanks.", "{He} made {H} a present of the {X} and walked home."]],
         "{N} the {R} came {n} hours late to {T2} because of {road_short}, and {O} refused to pay. {H} the {HR} got the {X}."),
    ],
}

CONTEST = {
    "name": "contest",
    "beats": [
        ["The {contest} was on {day}, and the winner would get {prize}.",
         "{He} dreamed of winning {prize} at the {contest} on {day}.",
         "For months {he} had practised for the {contest}, where the first prize was {prize}."],
        ["But {n} days before, {cause} ruined {his} {tool}.",
         "Then {cause} broke {his} {tool}, with only {n} days left."],
        ["{H}, {aHR}, worked all night to mend it.",
         "{He} asked everyone, and only {H} the {HR} had one to lend.",
         "{H} the {HR} came from {T2} and put it right for nothing."],
    ],
    "outcomes": [
        ([["On the day {he} was better than everyone, even {O} the {OR}.",
           "The judges did not think long: {N} was first and {O} the {OR} was second."]],
         "{Cause} ruined the {tool} of {N} the {R}, but {H} the {HR} helped, and {he} beat {O} and won {prize} at the {contest} in {T}."),
        ([["{O}, {aOR}, was just a little better and took first place.",
           "{He} did well, but the judges liked the work of {O} the {OR} more."],
          ["{He} shook hands and promised to come back.", "{N} clapped louder than anyone."]],
         "{N} the {R} lost the {contest} to {O} the {OR}, who won {prize}, although {H} had helped after {cause} ruined the {tool}."),
        ([["The judges could not choose between {him} and {O} the {OR}.",
           "When the points were counted, {N} and {O} the {OR} had the same number."],
          ["So they cut the prize in two, as well as they could.", "They agreed to share everything."]],
         "{N} the {R} and {O} the {OR} shared {prize} at the {contest}. {H} the {HR} had helped after {cause} ruined the {tool}."),
    ],
}

REPAIR = {
    "name": "repair",
    "beats": [
        ["The {machine} at {S} had been silent for {n} days, and the mayor begged {him} to repair it.",
         "For {n} days the {machine} at {S} had not worked, and everybody looked at {N}.",
         "{He} was asked to mend the {machine} at {S}, which had stopped {n} days before."],
        ["It needed {part}, but there was none in {T}.",
         "{He} opened it and saw at once that it needed {part}.",
         "Without {part} nothing could be done."],
        ["{He} walked to {T2}, where {H}, {aHR}, had one in the attic.",
         "After a long search {he} found one in {T2}, in the shed of {H} the {HR}."],
    ],
    "outcomes": [
        ([["{H} wanted {aX} for it, and {he} agreed.", "{He} paid for it with {aX}."],
          ["By {day} everything was running again, and the whole town cheered.",
           "On {day} it ran as smoothly as on the first day."]],
         "{N} the {R} repaired the {machine} at {S} by {day}. {He} got {part} from {H} the {HR} in {T2} for {aX}."),
        ([["But at home it did not fit.", "Back in {T} it turned out to be the wrong size."],
          ["So {he} used {makeshift} instead, and to everyone's surprise it worked.",
           "In despair {he} tried {makeshift}, and the thing began to move."]],
         "{Part} from {H} the {HR} did not fit, so {N} the {R} repaired the {machine} at {S} with {makeshift}."),
    ],
}

SAVING = {
    "name": "saving",
    "beats": [
        ["In a shop window at {S} {he} saw {aX} that cost {n} coins.",
         "{He} wanted nothing more than {aX}, but the shop at {S} asked {n} coins for it.",
         "At {S} {aX} was for sale for {n} coins, and {he} had almost nothing."],
        ["So {he} spent {n2} weeks {job} for {H}, {aHR}.",
         "{H}, {aHR}, gave {him} work, and for {n2} weeks {he} was {job}."],
        ["It was for {his} {kin}, who had always wished for one.",
         "{He} meant to give it to {his} {kin}.",
         "{His} {kin} would be so happy, {he} thought."],
    ],
    "outcomes": [
        ([["At last {he} put the money on the counter and carried it home.",
           "When the work was done, {he} paid, ran home and could hardly speak."]],
         "{N} the {R} worked {n2} weeks for {H} the {HR}, {job}, and bought {aX} for {his} {kin}."),
        ([["But when {he} came back, {O} the {OR} had already bought it.",
           "On the very last day it was sold to {O}, {aOR}."],
          ["With the money {he} bought {aY}, and that was fine too.", "So {he} took {aY}, which was cheaper and nearly as good."]],
         "{O} the {OR} bought the {X} before {N} the {R}, who had been {job} for {H}. {N} bought {aY} for {his} {kin} instead."),
        ([["When {H} heard the reason, {hhe} paid for it {hhimself}.", "On the last evening {H} smiled and put it into {his} hands: {hhe} had bought it in secret."]],
         "{N} the {R} was {job} to buy {aX} for {his} {kin}, but {H} the {HR} bought it for {him} as a surprise."),
    ],
}

LEARN = {
    "name": "learn",
    "beats": [
        ["More than anything {he} wanted to learn to {skill} before {event}.",
         "{He} had told everyone that {he} would {skill} at {event}, but {he} had never tried it.",
         "One day {he} decided to learn to {skill}, and {event} was only {n} weeks away."],
        ["At the first try {fail}.", "It began badly: {fail}."],
        ["{H}, {aHR} from {T2}, agreed to teach {him} if {he} would {jobs} every day.",
         "{He} found a teacher in {H} the {HR}, and in return {he} had to {jobs}."],
    ],
    "outcomes": [
        ([["At {event} people stood on their chairs and shouted for more.",
           "When the great day came, nobody wanted {him} to stop."]],
         "{N} the {R} had to {jobs} for {H} the {HR}, who taught {him} to {skill}. At {event} {he} was a great success."),
        ([["But at {event} {he} was so afraid that {he} hid at {S}.",
           "When the day came, {his} knees shook, and {he} ran away to {S}."],
          ["{H} found {him} there and said that next year would be better.", "\"Next year,\" said {H}, and they went home together."]],
         "{H} the {HR} taught {N} the {R} to {skill}, but {he} was too afraid to do it at {event} and hid at {S}."),
        ([["Then {O} the {OR} fell ill, and {N} had to take the place at {event} {n} days early.",
           "{O}, {aOR}, who did this every year, lost courage, and {N} had to step in."],
          ["It was not perfect, but nobody complained.", "There were a few mistakes, and everybody clapped all the same."]],
         "After lessons from {H} the {HR}, {N} the {R} took the place of {O} at {event} and managed to {skill}."),
    ],
}

RESCUE = {
    "name": "rescue",
    "beats": [
        ["A {animal} {trap} near {S}, and its cries could be heard all over {T}.",
         "Near {S} {he} saw that a {animal} {trap}."],
        ["It belonged to {O}, {aOR}, who was away in {T2}.",
         "It was the {animal} of {O} the {OR}, who could only stand there and pray."],
        ["{He} tried with {gear}, but that was not enough.",
         "First {he} fetched {gear}, and it was of no use at all."],
    ],
    "outcomes": [
        ([["Then {H}, {aHR}, brought {gear2}, and together they did it.",
           "{H} the {HR} had a better idea and used {gear2}."],
          ["{O} gave them {aX} as thanks.", "The next day {O} came with {aX} for the two of them."]],
         "{N} the {R} and {H} the {HR} used {gear2} to save the {animal} of {O} from {trap_short}. They were given {aX}."),
        ([["While {H} the {HR} went for {gear2}, the {animal} got out by itself.",
           "{H}, {aHR}, was just coming with {gear2} when the {animal} simply walked away."],
          ["Everybody laughed, and {O} paid for a round of {food}.", "{O} laughed for an hour and bought {food} for all."]],
         "{N} the {R} tried to save the {animal} of {O} from {trap_short}, but it got free alone. {O} paid for {food}."),
    ],
}

MYSTERY = {
    "name": "mystery",
    "beats": [
        ["For {n} nights {food} had been disappearing from {S}.",
         "Every night some {food} vanished from {S}, and this was already night number {n}."],
        ["Everybody blamed {O}, {aOR} who had come to {T} not long ago.",
         "People whispered that {O} the {OR} was the thief.",
         "{O} the {OR} had been seen there, and most people needed no other proof."],
        ["{N} did not believe it and kept watch with {H}, {aHR}.",
         "So {N} hid {hide} together with {H} the {HR} and waited."],
    ],
    "outcomes": [
        ([["At midnight {thief} crept in through a hole in the wall.", "Long after midnight they saw {thief} with its mouth full."],
          ["In the morning the whole town said sorry to {O}.", "They mended the wall, and {O} was invited to supper everywhere."]],
         "{N} the {R} and {H} the {HR} found out that {thief} took the {food} from {S}. {O}, who had been blamed, was innocent."),
        ([["It really was {O}, who was hungry and ashamed.", "Shortly before dawn {O} came through the window with an empty bag."],
          ["{H} offered {O} work, and nothing was ever missing again.", "Nobody called the police, and {H} found {O} a job."]],
         "{N} the {R} and {H} the {HR} caught {O} the {OR}, who took {food} from {S} out of hunger. {H} offered {O} work."),
        ([["It was the mayor, walking in {mayors} sleep.", "They could hardly believe it: the mayor was walking and eating in {mayors} sleep."],
          ["They kept the secret, and from then on the door was locked.", "{O} laughed loudest of all."]],
         "{O} the {OR} was blamed for the {food} missing from {S}. {N} the {R} and {H} saw that it was the mayor, asleep."),
    ],
}

GARDEN = {
    "name": "garden",
    "beats": [
        ["That year {he} planted {crop} behind {S}.",
         "{He} had rented a strip of land near {S} and filled it with {crop}."],
        ["{pest}"],
        ["{H}, {aHR}, told {him} to use {cure}.",
         "An old book said nothing about it, but {H} the {HR} believed in {cure}.",
         "\"Try {cure},\" said {H} the {HR}, and {he} did."],
    ],
    "outcomes": [
        ([["In autumn {he} filled {n} baskets and gave half of them to {his} {kin}.",
           "There were {n} baskets in the end, and {his} {kin} got the best of them."]],
         "{Pest_short} nearly cost {N} the {R} the {crop}, but {cure} from {H} the {HR} saved them, and {he} filled {n} baskets."),
        ([["It did not help, and only {n2} plants were left.", "All the same, by August there were just {n2} plants."],
          ["{He} made a pot of soup from them for {his} {kin}.", "They were enough for one soup, which {he} shared with {his} {kin}."]],
         "{Pest_short} left {N} the {R} only {n2} plants of {crop} in spite of {cure}. {He} made soup for {his} {kin}."),
        ([["One of them grew so large that people came from {T2} to see it.", "Soon one of them was as big as a {animal}."],
          ["{O} the {OR} bought it for {n} coins.", "{He} sold it to {O}, {aOR}, for {n} coins."]],
         "Thanks to {cure} from {H} the {HR}, {N} the {R} grew giant {crop} after {pest_short}, and {O} the {OR} paid {n} coins."),
    ],
}

JOURNEY = {
    "name": "journey",
    "beats": [
        ["{He} had to be in {T2} on {day} for the {occasion} of {his} {kin}.",
         "The {occasion} of {his} {kin} was in {T2} on {day}, and {he} had packed {aX} as a present."],
        ["But the {vehicle} left {n} minutes early, and {he} missed it.",
         "At {S} {he} learned that there was no {vehicle} because of a strike.",
         "The {vehicle} broke down after {n} miles, in the middle of nowhere."],
        ["{H}, {aHR}, gave {him} {shelter} for the night.",
         "It grew dark, and {H} the {HR} offered {him} {shelter}."],
    ],
    "outcomes": [
        ([["At sunrise {he} went on, on {ride}, and arrived as the first song was played.",
           "Early next morning {he} left on {ride} and came at the very last moment."]],
         "{N} the {R} missed the {vehicle}, slept at the house of {H} the {HR}, and reached the {occasion} of {his} {kin} in {T2} on {ride}."),
        ([["In the morning there was a knock: all the guests had come to {him}.",
           "Then a miracle happened, and the whole party came down the road with lamps."],
          ["They celebrated at {S} until the next day.", "So the feast was held at {S}."]],
         "{N} the {R} missed the {vehicle} to {T2} and stayed with {H} the {HR}, so the {occasion} of {his} {kin} was held at {S}."),
        ([["{He} came a day too late, and the tables were already empty.", "When {he} arrived, everyone had gone home."],
          ["But {his} {kin} had kept a piece of cake for {him}.", "Only {his} {kin} was still there, with one last piece of cake."]],
         "Without the {vehicle}, {N} the {R} stayed with {H} the {HR} and came too late for the {occasion} in {T2}. {His} {kin} had kept {him} some cake."),
    ],
}

PLOTS = [LOST, DELIVERY, CONTEST, REPAIR, SAVING, LEARN, RESCUE, MYSTERY, GARDEN, JOURNEY]
